"""The service on clusters of other projects: a deployment of Ray Serve."""
