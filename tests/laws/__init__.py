"""The laws of design.md, over whatever is registered: a member that is added is held to them without a new test."""
