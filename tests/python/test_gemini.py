"""Google's official client for Python."""

import unittest

from google.genai import errors, types
from pydantic import BaseModel

from sluice import CALLED, SAID, THOUGHT, USAGE, WEATHER, google_client, models


class Person(BaseModel):
    name: str


class GenerateContent(unittest.TestCase):
    def setUp(self) -> None:
        self.client = google_client()

    def test_text_and_usage(self) -> None:
        for model in models(USAGE):
            with self.subTest(model):
                answer = self.client.models.generate_content(model=model, contents=SAID)
                self.assertEqual((answer.text, answer.candidates[0].finish_reason.name), (SAID, "STOP"))
                used = answer.usage_metadata
                self.assertEqual((used.prompt_token_count, used.candidates_token_count), (1000, 70))

    def test_stream(self) -> None:
        config = types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
        )
        for model in models("reason"):
            with self.subTest(model):
                ask = {"model": model, "contents": SAID, "config": config}
                parts = [
                    part
                    for chunk in self.client.models.generate_content_stream(**ask)
                    for candidate in chunk.candidates or []
                    for part in (candidate.content.parts if candidate.content else None) or []
                ]
                said = "".join(part.text or "" for part in parts if not part.thought)
                thought = "".join(part.text or "" for part in parts if part.thought)
                self.assertEqual((said, thought), (SAID, THOUGHT))

    def test_tools(self) -> None:
        declaration = types.FunctionDeclaration(name="get_weather", parameters_json_schema=WEATHER)
        config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declaration])])
        for model in models("tool"):
            with self.subTest(model):
                ask = {"model": model, "config": config}
                asked = self.client.models.generate_content(contents=SAID, **ask)
                call = asked.function_calls[0]
                self.assertEqual((call.name, call.args), ("get_weather", CALLED))
                back = types.Part.from_function_response(name=call.name, response={"output": "sunny"})
                back.function_response.id = call.id
                user = types.Content(role="user", parts=[types.Part(text=SAID)])
                turns = [user, asked.candidates[0].content, types.Content(role="user", parts=[back])]
                self.assertEqual(self.client.models.generate_content(contents=turns, **ask).text, "sunny")

    def test_structured_output(self) -> None:
        config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Person)
        for model in models("json"):
            with self.subTest(model):
                answer = self.client.models.generate_content(model=model, contents=SAID, config=config)
                self.assertEqual(answer.parsed, Person(name=SAID))

    def test_errors(self) -> None:
        for model in models("status:429,retry_after=7"):
            with self.subTest(model), self.assertRaises(errors.ClientError) as raised:
                self.client.models.generate_content(model=model, contents=SAID)
            self.assertEqual((raised.exception.code, raised.exception.status), (429, "RESOURCE_EXHAUSTED"))
        for model in models("status:500"):
            with self.subTest(model), self.assertRaises(errors.ServerError):
                self.client.models.generate_content(model=model, contents=SAID)
        for model in models("error-event:after=3,delay=2ms"):
            with self.subTest(model), self.assertRaises(errors.APIError):
                for _ in self.client.models.generate_content_stream(model=model, contents=SAID * 9):
                    pass
        with self.assertRaises(errors.ClientError) as raised:
            self.client.models.generate_content(model="no-such-model", contents=SAID)
        self.assertEqual(raised.exception.code, 404)

    def test_counting(self) -> None:
        for model in models("echo"):
            with self.subTest(model):
                self.assertGreater(self.client.models.count_tokens(model=model, contents=SAID).total_tokens, 0)


if __name__ == "__main__":
    unittest.main()
