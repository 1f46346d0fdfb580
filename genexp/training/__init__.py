"""What the step loop is made of: its state, schedule, budget, averages, signals; what it says and writes as it goes."""
