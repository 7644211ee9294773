"""What a change will mean, known before anything is built: compared, estimated, said and drawn."""
