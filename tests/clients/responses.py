"""/v1/responses and embeddings."""
import json
import math

import jsonschema
import ollama
import openai

from checks import KEY, QUESTION, check, fails
from schemas import SCHEMAS
from tools import MESSAGES, PARAMETERS


def responses(client, text):
    ask = lambda **more: client.responses.create(model="chat", **{"input": QUESTION, "temperature": 0, "max_output_tokens": 40, **more})
    whole = ask()
    check(whole.output_text == text, whole)
    check("".join(e.delta for e in ask(stream=True) if e.type == "response.output_text.delta") == text)
    check(list(ask(stream=True))[-1].response.output_text == text)
    form = {"format": {"type": "json_schema", "name": "river", "schema": SCHEMAS["river"], "strict": True}}
    jsonschema.validate(json.loads(ask(text=form, max_output_tokens=250).output_text), SCHEMAS["river"])
    tool = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
    call = ask(input=MESSAGES, tools=[tool], tool_choice="required", parallel_tool_calls=False, max_output_tokens=120).output[-1]
    check(call.type == "function_call" and call.name == "weather", call)
    jsonschema.validate(json.loads(call.arguments), PARAMETERS)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "Snow."}
    check(ask(input=MESSAGES + [call, result], tools=[tool]).output)
    check(fails(openai.BadRequestError, lambda: ask(previous_response_id="resp_1")).param == "previous_response_id")


def embeddings(client, url):
    answer = client.embeddings.create(model="chat", input=["The Rhine is a river.", "A river: the Danube.", "def f(x): return x + 1"])
    vectors = [one.embedding for one in answer.data]
    check(all(abs(math.fsum(x * x for x in v) - 1) < 1e-4 for v in vectors) and answer.usage.prompt_tokens > 10)
    dot = lambda a, b: math.fsum(x * y for x, y in zip(a, b))
    check(dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2]), "rivers are closer to each other than to code")
    other = ollama.Client(host=url, headers={"Authorization": "Bearer " + KEY}).embed(model="chat", input="The Rhine is a river.")
    check(max(abs(a - b) for a, b in zip(other.embeddings[0], vectors[0])) < 1e-6)


def run(url, text):
    client = openai.OpenAI(base_url=url + "/v1", api_key=KEY)
    responses(client, text)
    embeddings(client, url)
