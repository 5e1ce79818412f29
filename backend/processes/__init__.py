"""The processes of an installation: workers, the embedded Redis, and the supervisor that runs them."""
