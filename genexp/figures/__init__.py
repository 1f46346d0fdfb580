"""Arrays → pictures and animations. No model, no path, no configuration."""
