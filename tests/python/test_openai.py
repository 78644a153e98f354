"""OpenAI's official client for Python: Chat Completions, Responses, models and errors."""

import json
import unittest

import openai
from pydantic import BaseModel

from sluice import CALLED, SAID, THOUGHT, USAGE, WEATHER, models, openai_client


class Person(BaseModel):
    name: str


HELLO = [{"role": "user", "content": SAID}]


class ChatCompletions(unittest.TestCase):
    def setUp(self) -> None:
        self.client = openai_client()

    def test_text_and_usage(self) -> None:
        for model in models(USAGE):
            with self.subTest(model):
                answer = self.client.chat.completions.create(model=model, messages=HELLO)
                self.assertEqual(answer.choices[0].message.content, SAID)
                self.assertEqual(answer.choices[0].finish_reason, "stop")
                self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (1000, 70))

    def test_stream(self) -> None:
        for model in models(USAGE):
            with self.subTest(model):
                stream = self.client.chat.completions.create(
                    model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
                )
                text, used = "", None
                for chunk in stream:
                    text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
                    used = chunk.usage or used
                self.assertEqual(text, SAID)
                self.assertEqual((used.prompt_tokens, used.completion_tokens), (1000, 70))

    def test_tools(self) -> None:
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
        for model in models("tool"):
            with self.subTest(model):
                ask = {"model": model, "tools": tools}
                with self.client.chat.completions.stream(messages=HELLO, **ask) as stream:
                    message = stream.get_final_completion().choices[0].message
                call = message.tool_calls[0]
                self.assertEqual((call.function.name, json.loads(call.function.arguments)), ("get_weather", CALLED))
                result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
                done = self.client.chat.completions.create(messages=[*HELLO, message, result], **ask)
                self.assertEqual(done.choices[0].message.content, "sunny")

    def test_structured_output(self) -> None:
        for model in models("json"):
            with self.subTest(model):
                answer = self.client.chat.completions.parse(model=model, messages=HELLO, response_format=Person)
                self.assertEqual(answer.choices[0].message.parsed, Person(name=SAID))

    def test_errors(self) -> None:
        for model in models("status:429,retry_after=7"):
            with self.subTest(model), self.assertRaises(openai.RateLimitError) as raised:
                self.client.chat.completions.create(model=model, messages=HELLO)
            self.assertEqual(raised.exception.response.headers["retry-after"], "7")
        with self.assertRaises(openai.NotFoundError):
            self.client.chat.completions.create(model="no-such-model", messages=HELLO)
        with self.assertRaises(openai.AuthenticationError):
            self.client.with_options(api_key="wrong").chat.completions.create(model="ollama/echo", messages=HELLO)
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.chat.completions.create(model="ollama/echo", messages=[])
        self.assertEqual(raised.exception.param, "messages")

    def test_errors_within_a_stream(self) -> None:
        for model in models("error-event:after=3,delay=2ms"):
            with self.subTest(model), self.assertRaises(openai.APIError):
                for _ in self.client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": SAID * 9}], stream=True
                ):
                    pass

    def test_models(self) -> None:
        self.assertIsInstance([model.id for model in self.client.models.list()], list)


class Responses(unittest.TestCase):
    def setUp(self) -> None:
        self.client = openai_client()

    def test_text_and_usage(self) -> None:
        for model in models(USAGE):
            with self.subTest(model):
                answer = self.client.responses.create(model=model, input=SAID)
                self.assertEqual((answer.output_text, answer.status), (SAID, "completed"))
                self.assertEqual((answer.usage.input_tokens, answer.usage.output_tokens), (1000, 70))

    def test_stream(self) -> None:
        for model in models("reason"):
            with self.subTest(model):
                ask = {"model": model, "input": SAID, "reasoning": {"summary": "auto", "effort": "low"}}
                with self.client.responses.stream(**ask) as stream:
                    deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
                    answer = stream.get_final_response()
                self.assertEqual(("".join(deltas), answer.output_text), (SAID, SAID))
                thoughts = [part.text for item in answer.output if item.type == "reasoning" for part in item.summary]
                self.assertEqual("".join(thoughts), THOUGHT)

    def test_tools(self) -> None:
        tools = [{"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}]
        for model in models("tool"):
            with self.subTest(model):
                asked = self.client.responses.create(model=model, input=SAID, tools=tools)
                call = next(item for item in asked.output if item.type == "function_call")
                self.assertEqual((call.name, json.loads(call.arguments)), ("get_weather", CALLED))
                result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
                turns = [{"role": "user", "content": SAID}, *asked.output, result]
                done = self.client.responses.create(model=model, input=turns, tools=tools)
                self.assertEqual(done.output_text, "sunny")

    def test_structured_output(self) -> None:
        for model in models("json"):
            with self.subTest(model):
                answer = self.client.responses.parse(model=model, input=SAID, text_format=Person)
                self.assertEqual(answer.output_parsed, Person(name=SAID))

    def test_errors(self) -> None:
        for model in models("status:500"):
            with self.subTest(model), self.assertRaises(openai.InternalServerError):
                self.client.responses.create(model=model, input=SAID)


if __name__ == "__main__":
    unittest.main()
