"""What runs outside of requests: the queues, the jobs on them, and the workers that run them."""
