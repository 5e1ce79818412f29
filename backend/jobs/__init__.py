"""The functions that RQ runs. The only part of the service that loads torch; it finds everything by the environment."""
