"""What starts Jobyard on one machine: local services, the Procfile's processes and the operators' commands."""
