"""The monthly rent of a flat, as a line through its square_meters, its rooms and its minutes_to_center."""

import json


def load(path):
    with open(path) as file:
        return json.load(file)


def predict(model, input):
    if not isinstance(input, dict) or set(input) != set(model["weights"]):
        raise ValueError("the input is an object with " + ", ".join(model["weights"]))
    for name, value in input.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(name + " is a number")
    rent = model["intercept"] + sum(weight * input[name] for name, weight in model["weights"].items())
    return {"rent": round(rent, 2)}
