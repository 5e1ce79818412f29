"""`make demo`: a real Label Studio and `boxstrap up` on this machine, from class labels to boxes and masks."""
