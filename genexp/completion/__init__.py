"""What a shell offers when the user presses Tab. Light: YAML files are read by the line, nothing is composed or imported."""
