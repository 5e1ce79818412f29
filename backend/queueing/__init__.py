"""The queues in Redis: what is put on them, and what gives back jobs that were lost."""
