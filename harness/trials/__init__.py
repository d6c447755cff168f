"""One job in one fresh process on a chosen build, with proof of what it ran on."""
