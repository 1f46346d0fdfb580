"""What is measured and drawn: one module per family of data. A data set names its study."""
