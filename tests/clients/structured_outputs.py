"""Answers that have to be something: JSON by a schema, texts by a pattern or a grammar."""
import json
import re

import jsonschema
import ollama
import openai

from checks import KEY, QUESTION, check, fails
from schemas import SCHEMAS

OBJECTS_EACH = 20


def question(name):
    return [{"role": "user", "content": f"Write an example of a JSON object for '{name}'."}]


def two_hundred_objects(client):
    """All objects that were generated, sampled with some heat, are valid by the reference validator."""
    valid = 0
    for name, schema in SCHEMAS.items():
        form = {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
        for seed in range(0, OBJECTS_EACH, 10):
            answer = client.chat.completions.create(model="chat", messages=question(name), n=10, seed=1000 + seed, temperature=0.9,
                                                    max_tokens=250, response_format=form)
            for choice in answer.choices:
                check(choice.finish_reason == "stop", name, choice.message.content)
                jsonschema.validate(json.loads(choice.message.content), schema, format_checker=jsonschema.FormatChecker())
                valid += 1
    check(valid == OBJECTS_EACH * len(SCHEMAS) == 200, valid)


def run(url, text):
    client = openai.OpenAI(base_url=url + "/v1", api_key=KEY)
    ask = lambda **more: client.chat.completions.create(model="chat", messages=QUESTION, **{"temperature": 0, "max_tokens": 40, **more})
    everything = {"structured_outputs": {"grammar": "start: /(.|\\n)*/"}}
    check(ask(extra_body=everything).choices[0].message.content == text)
    sampled = {"temperature": 0.8, "seed": 5}
    check(ask(extra_body=everything, **sampled).choices[0].message.content == ask(**sampled).choices[0].message.content)
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": SCHEMAS["verdict"], "strict": True}}
    whole = ask(response_format=form, logprobs=True, top_logprobs=2)
    jsonschema.validate(json.loads(whole.choices[0].message.content), SCHEMAS["verdict"])
    check(b"".join(bytes(t.bytes) for t in whole.choices[0].logprobs.content).decode() == whole.choices[0].message.content)
    pieces = ask(response_format=form, stream=True)
    check("".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == whole.choices[0].message.content)
    check(ask(response_format=form, max_tokens=2).choices[0].finish_reason == "length")
    check(json.loads(ask(response_format={"type": "json_object"}, max_tokens=200, stop=["\n\n\n"]).choices[0].message.content or "{}") is not None)
    date = ask(extra_body={"structured_outputs": {"regex": r"[12][0-9]{3}-[01][0-9]"}}).choices[0].message.content
    check(re.fullmatch(r"[12][0-9]{3}-[01][0-9]", date), date)
    check(ask(extra_body={"structured_outputs": {"choice": ["Rhine", "Po"]}}).choices[0].message.content in ("Rhine", "Po"))
    bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}, "strict": True}}
    check(fails(openai.BadRequestError, lambda: ask(response_format=bad)).param == "response_format")

    other = ollama.Client(host=url, headers={"Authorization": "Bearer " + KEY})
    answer = other.chat(model="chat", messages=question("river"), format=SCHEMAS["river"], options={"num_predict": 250, "seed": 3})
    jsonschema.validate(json.loads(answer.message.content), SCHEMAS["river"])
    generated = other.generate(model="chat", prompt="An order.", format=SCHEMAS["order"], options={"num_predict": 250, "seed": 3})
    jsonschema.validate(json.loads(generated.response), SCHEMAS["order"])
    two_hundred_objects(client)
