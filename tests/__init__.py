"""Laws that genexp keeps."""
