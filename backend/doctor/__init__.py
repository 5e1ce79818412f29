"""What `boxstrap doctor` looks at: this machine, Label Studio, and each project. Nothing here prints."""
