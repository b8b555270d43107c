"""Ten schemas of the kinds that programs ask for. Texts and lists are bounded, as what is to end has to be."""


def thing(**properties):
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def text(most=24, **more):
    return {"type": "string", "maxLength": most, **more}


def some(items, least=0, most=3):
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


SCHEMAS = {
    "person": thing(name=text(), age={"type": "integer", "minimum": 0, "maximum": 120}, email=text(40, pattern=r"^[a-z]{1,10}@[a-z]{1,10}\.org$")),
    "river": thing(name=text(), length_km={"type": "number", "minimum": 1, "maximum": 7000}, countries=some(text(16), 1)),
    "verdict": thing(label={"enum": ["positive", "negative", "neutral"]}, certain={"type": "boolean"}),
    "order": thing(items=some(thing(product=text(16), count={"type": "integer", "minimum": 1, "maximum": 9}), 1, 2),
                   paid={"type": "boolean"}, note={"anyOf": [text(16), {"type": "null"}]}),
    "date": thing(date=text(10, format="date"), time=text(8, pattern=r"^[0-2][0-9]:[0-5][0-9]$")),
    "tree": {"$defs": {"node": {"type": "object", "properties": {"name": text(8), "child": {"anyOf": [{"$ref": "#/$defs/leaf"}, {"type": "null"}]}},
                                "required": ["name", "child"], "additionalProperties": False},
                       "leaf": thing(name=text(8))},
             "$ref": "#/$defs/node"},
    "pair": {"type": "array", "prefixItems": [text(8), {"type": "integer", "minimum": -9, "maximum": 9}], "items": False, "minItems": 2},
    "options": {"type": "object", "properties": {"verbose": {"type": "boolean"}, "level": {"enum": [1, 2, 3]}}, "additionalProperties": False},
    "shape": {"anyOf": [thing(kind={"const": "circle"}, radius={"type": "integer", "minimum": 1, "maximum": 50}),
                        thing(kind={"const": "box"}, sides=some({"type": "integer", "minimum": 1, "maximum": 50}, 2, 3))]},
    "scores": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 100}, "maxProperties": 3},
}
