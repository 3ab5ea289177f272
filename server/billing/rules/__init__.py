"""The pure rules of billing: what a tariff makes of a quantity. Values in, values out."""
