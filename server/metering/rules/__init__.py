"""The pure rules of metering: consumption, expectation, checks. Values in, values out."""
