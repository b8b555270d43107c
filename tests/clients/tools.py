"""Tools: calls that have to be made, and the conversation that goes on with what they gave."""
import json

import anthropic
import jsonschema
import ollama
import openai

from checks import KEY, check, fails

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
              "required": ["city", "days"], "additionalProperties": False}
FUNCTION = {"type": "function", "function": {"name": "weather", "description": "Weather of the days to come", "parameters": PARAMETERS, "strict": True}}
MESSAGES = [{"role": "user", "content": "What will the weather be in Oslo on the next 3 days?"}]


def of_openai(url):
    client = openai.OpenAI(base_url=url + "/v1", api_key=KEY)
    ask = lambda messages=MESSAGES, **more: client.chat.completions.create(
        model="chat", messages=messages, tools=[FUNCTION], **{"temperature": 0, "max_tokens": 120, **more})
    choice = ask(tool_choice="required", parallel_tool_calls=False).choices[0]
    call = choice.message.tool_calls[0]
    check(choice.finish_reason == "tool_calls" and call.function.name == "weather", choice)
    jsonschema.validate(json.loads(call.function.arguments), PARAMETERS)
    parts = [part for chunk in ask(tool_choice="required", parallel_tool_calls=False, stream=True) for part in chunk.choices[0].delta.tool_calls or []]
    check(parts[0].id and parts[0].function.name == "weather" and not any(part.id or part.function.name for part in parts[1:]), parts)
    check("".join(part.function.arguments for part in parts) == call.function.arguments and len(parts) > 4, parts)
    named = ask(tool_choice={"type": "function", "function": {"name": "weather"}}, n=2, temperature=1, seed=1)
    for other in named.choices:
        jsonschema.validate(json.loads(other.message.tool_calls[0].function.arguments), PARAMETERS)
    answer = ask(MESSAGES + [choice.message, {"role": "tool", "tool_call_id": call.id, "content": "Snow on all three days."}])
    check(answer.choices[0].message.content or answer.choices[0].message.tool_calls, answer)
    check(fails(openai.BadRequestError, lambda: ask(tool_choice={"type": "function", "function": {"name": "x"}})).param == "tool_choice")


def of_anthropic(url):
    client = anthropic.Anthropic(base_url=url, api_key=KEY)
    tool = {"name": "weather", "description": "Weather of the days to come", "input_schema": PARAMETERS}
    forced = {"model": "chat", "max_tokens": 120, "messages": MESSAGES, "tools": [tool], "tool_choice": {"type": "tool", "name": "weather"},
              "extra_body": {"temperature": 0}}
    message = client.messages.create(**forced)
    block = message.content[-1]
    check(message.stop_reason == "tool_use" and block.type == "tool_use", message)
    jsonschema.validate(block.input, PARAMETERS)
    with client.messages.stream(**forced) as stream:
        pieces = [event.partial_json for event in stream if event.type == "input_json"]
        check(len(pieces) > 3 and json.loads("".join(pieces)) == block.input, pieces)
        check(stream.get_final_message().content[-1].input == block.input)
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": block.id, "content": "Snow."}]}
    answer = client.messages.create(model="chat", max_tokens=20, tools=[tool], messages=MESSAGES + [{"role": "assistant", "content": message.content}, result])
    check(answer.content, answer)


def of_ollama(url):
    client = ollama.Client(host=url, headers={"Authorization": "Bearer " + KEY})
    call = {"function": {"name": "weather", "arguments": {"city": "Oslo", "days": 3}}}
    messages = MESSAGES + [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "tool_name": "weather", "content": "Snow."}]
    answer = client.chat(model="chat", messages=messages, tools=[FUNCTION], options={"num_predict": 30})
    check(answer.message.content or answer.message.tool_calls, answer)


def run(url):
    of_openai(url)
    of_anthropic(url)
    of_ollama(url)
