"""Ways to use MXNet that plain training does not exercise."""
