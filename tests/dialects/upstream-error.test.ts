/** How providers' refusals are understood, and how they are told to clients of OpenAI Chat Completions. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorKind, errorKinds, GatewayError } from '../../src/core/error.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { openaiChat } from '../../src/dialects/openai-chat.ts';
import {
  classifyErrorPayload,
  classifyUpstreamError,
  readRetryAfterS,
  redactSecrets,
} from '../../src/dialects/upstream-error.ts';
import { haveRecordings, loadRecordings } from '../recordings.ts';

const bytes = (body: Json): Uint8Array =>
  new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));

function classify(status: number, body: Json, headers: Record<string, string> = {}): GatewayError {
  return classifyUpstreamError(status, new Headers(headers), bytes(body));
}

describe('a refusal is', () => {
  test.each<[number, Json, ErrorKind]>([
    [400, { error: { message: 'Bad value' } }, 'upstream_bad_request'],
    [401, { detail: 'Invalid API Key' }, 'upstream_auth'],
    [403, '', 'upstream_auth'],
    [402, { error: { message: 'Insufficient Balance' } }, 'upstream_quota'],
    [404, { error: "model 'x' not found" }, 'upstream_not_found'],
    [408, '', 'upstream_timeout'],
    [409, '', 'upstream_unavailable'],
    [413, { error: { message: 'Request too large', code: 'rate_limit_exceeded' } }, 'upstream_rate_limited'],
    [422, { detail: [{ msg: 'x' }] }, 'upstream_bad_request'],
    [429, { error: { message: 'Slow down' } }, 'upstream_rate_limited'],
    [429, { error: { message: 'Pay', code: 'insufficient_quota' } }, 'upstream_quota'],
    [
      429,
      { error: { message: 'You exceeded your current quota', status: 'RESOURCE_EXHAUSTED' } },
      'upstream_rate_limited',
    ],
    [500, '', 'upstream_unavailable'],
    [502, '<html><body>Bad gateway</body></html>', 'upstream_unavailable'],
    [503, { error: { message: 'Busy' } }, 'upstream_overloaded'],
    [504, '', 'upstream_timeout'],
    [
      529,
      { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      'upstream_overloaded',
    ],
    [302, '', 'upstream_invalid'],
    // Said with a 400 by hosts that mean something else.
    [
      400,
      {
        error: {
          message: 'API key not valid.',
          status: 'INVALID_ARGUMENT',
          details: [{ reason: 'API_KEY_INVALID' }],
        },
      },
      'upstream_auth',
    ],
    [400, { code: 'x', error: 'Incorrect API key provided.' }, 'upstream_auth'],
    [
      400,
      { error: { type: 'invalid_request_error', message: 'Your credit balance is too low.' } },
      'upstream_quota',
    ],
    [400, { error: { code: 'content_filter', message: 'Filtered' } }, 'upstream_content_filter'],
    [400, { error: { code: 400, message: 'foo/bar is not a valid model ID' } }, 'upstream_not_found'],
  ])('%i %j: %s', (status, body, kind) => {
    const error = classify(status, body);
    expect(error.kind).toBe(kind);
    expect(error.detail.upstream?.status).toBe(status);
    expect(error.message).not.toBe('');
  });

  test.each([
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    'Your input exceeds the context window of this model.',
    'prompt is too long: 210000 tokens > 200000 maximum',
    'prompt too long; exceeded max context length by 12 tokens',
    'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
    'Input Tokens Exceeded: Number of input tokens exceeds maximum length.',
    'Input is too long for requested model.',
    'too many tokens: total number of tokens in the prompt exceeds the limit',
    "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
    'the request exceeds the available context size, try increasing it',
    'Please reduce the length of the messages or completion.',
    'input length and `max_tokens` exceed context limit: 199000 + 20000 > 200000',
  ])('context_length: %s', (message) => {
    expect(classify(400, { error: { message } }).kind).toBe('context_length');
  });

  test('no context overflow when a limit of tokens per minute is hit', () => {
    expect(classify(429, { error: { message: 'Too many tokens per minute' } }).kind).toBe(
      'upstream_rate_limited',
    );
  });
});

describe('what is forbidden', () => {
  const denied = { 'x-amzn-errortype': 'AccessDeniedException:http://internal.amazon.com/' };
  const google = (message: string, reason?: string): Json => ({
    error: { code: 403, message, status: 'PERMISSION_DENIED', details: reason ? [{ reason }] : [] },
  });

  test.each<{ body: Json; headers?: Record<string, string> }>([
    { body: '' },
    { body: '<html><title>403 Forbidden</title><body>Blocked. API key expired?</body></html>' },
    { body: { message: 'Forbidden' } },
    { body: { error: { message: 'You are not allowed to use this model.', type: 'invalid_request_error' } } },
    { body: { error: { message: 'Country not supported', code: 'unsupported_country_region_territory' } } },
    {
      body: {
        type: 'error',
        error: {
          type: 'permission_error',
          message: 'Your API key does not have permission to use the specified resource.',
        },
      },
    },
    { body: { message: "You don't have access to the model with the specified model ID." }, headers: denied },
    {
      body: {
        message:
          'User: arn:aws:iam::123456789012:user/ci is not authorized to perform: bedrock:InvokeModel on resource: m',
      },
      headers: denied,
    },
    { body: google('The caller does not have permission') },
  ])('costs nobody a key when it is the request: %j', ({ body, headers }) => {
    const { kind, blame, retry, status, message } = classify(403, body, headers);
    expect({ kind, blame, retry, status }).toEqual({
      kind: 'upstream_auth',
      blame: false,
      retry: true,
      status: 502,
    });
    expect(message).not.toContain('has to replace it');
  });

  test.each<{ body: Json; headers?: Record<string, string> }>([
    { body: { error: { message: 'Incorrect API key provided.', type: 'permission_error' } } },
    { body: { error: { message: 'No.', type: 'authentication_error' } } },
    { body: { error: { message: 'No.', code: 'invalid_api_key' } } },
    { body: { error: { message: 'Your organization has been disabled.' } } },
    { body: { detail: 'Not authenticated' } },
    { body: { message: 'Access denied due to invalid subscription key.' } },
    { body: { message: 'No API key found in request' } },
    { body: { Message: 'Bearer Token has expired' }, headers: denied },
    { body: { message: 'The security token included in the request is invalid.' }, headers: denied },
    { body: { message: 'No.' }, headers: { 'x-amzn-errortype': 'UnrecognizedClientException' } },
    { body: google('Your API key was reported as leaked. Please use another API key.') },
    { body: google("Method doesn't allow unregistered callers. Please use API Key.") },
    { body: google('Requests from this address are blocked.', 'API_KEY_IP_ADDRESS_BLOCKED') },
    { body: google('It has not been used in this project before or it is disabled.', 'SERVICE_DISABLED') },
  ])('is a matter of the key where it says so: %j', ({ body, headers }) => {
    const { kind, blame } = classify(403, body, headers);
    expect([kind, blame]).toEqual(['upstream_auth', true]);
  });

  test.each<[Json, ErrorKind]>([
    [
      { error: { code: 403, message: 'Your input was flagged', metadata: { flagged_input: 'x' } } },
      'upstream_content_filter',
    ],
    [{ error: { message: 'No access to model `o3`', code: 'model_not_found' } }, 'upstream_not_found'],
    [{ code: 'x', error: "Your newly created team doesn't have any credits yet." }, 'upstream_quota'],
  ])('may be something better known: %j is %s', (body, kind) => {
    expect(classify(403, body).kind).toBe(kind);
  });

  test('is no matter of the key in a stream either', () => {
    const told = classifyErrorPayload({ error: { type: 'permission_error', message: 'Not this.' } });
    expect([told.kind, told.blame]).toEqual(['upstream_auth', false]);
    const refused = classifyErrorPayload({ error: { type: 'authentication_error', message: 'Not you.' } });
    expect([refused.kind, refused.blame]).toEqual(['upstream_auth', true]);
  });

  test('is always a matter of the key with a 401', () => {
    expect(classify(401, { error: { type: 'permission_error', message: 'No.' } }).blame).toBe(true);
  });
});

describe('the message of a refusal', () => {
  test.each<[Json, string]>([
    [{ error: { message: 'a' } }, 'a'],
    [{ error: 'b' }, 'b'],
    [[{ error: { message: 'c' } }], 'c'],
    [{ message: 'd' }, 'd'],
    [{ detail: 'e' }, 'e'],
    [{ detail: [{ loc: ['body', 'n'], msg: 'too big' }] }, 'body.n: too big'],
    [{ errors: [{ message: 'f' }] }, 'f'],
    [{ error: { message: 'Provider returned error', metadata: { raw: 'slow down' } } }, 'slow down'],
    ['plain words', 'plain words'],
    ['<html>nginx</html>', 'The provider answered with status 400 and no readable message.'],
    ['', 'The provider answered with status 400 and no readable message.'],
  ])('%j says %s', (body, message) => {
    expect(classify(400, body).message).toBe(message);
  });

  test('keeps code and member, and a status that says more than 400', () => {
    const error = classify(422, { error: { message: 'a', code: 'unsupported', param: 'n' } });
    expect(error).toMatchObject({ status: 422, detail: { code: 'unsupported', param: 'n' } });
  });

  test('does not blame the client for the key of the gateway', () => {
    const error = classify(401, { error: { message: 'Incorrect API key provided: sk-proj-abc***xyz.' } });
    expect(error.status).toBe(502);
    expect(error.message).toContain("gateway's own key");
    expect(error.message).not.toContain('abc');
  });

  test.each([
    'sk-ant-REDACTED_BY_TEST-abcdef0123456789',
    'gsk_abcdefghijklmnop0123456789',
    'Bearer abc.def.ghi',
    'AIzaSyA0123456789abcdefghijklmnopqrstuv',
    'org-AbCdEf0123456789',
    '0123456789abcdef0123456789abcdef',
    'eyJhbGciOiJI.eyJzdWIiOiIx.abc-def',
    'http://10.1.2.3:8080/internal/path',
    'https://model.svc.cluster.local/v1',
  ])('loses %s', (secret) => {
    const clean = redactSecrets(`Before ${secret} after`);
    expect(clean).not.toContain(secret);
    expect(clean).toMatch(/^Before .*(redacted|internal address).* after$/);
  });

  test('keeps ordinary words', () => {
    const words =
      'The model claude-3-5-sonnet-20241022 (req 96164522-08b2-4cbf-886e-e5a38961a688) at https://example.com/docs';
    expect(redactSecrets(words)).toBe(words);
  });
});

describe('a retry makes sense after', () => {
  test.each<[Record<string, string>, number | undefined]>([
    [{ 'retry-after': '7' }, 7],
    [{ 'retry-after-ms': '1200' }, 2],
    [{ 'retry-after': '1', 'retry-after-ms': '0' }, 1],
    [{ 'retry-after': new Date(Date.now() - 60_000).toUTCString() }, 0],
    [{ 'x-ratelimit-reset-requests': '1m30s', 'x-ratelimit-remaining-requests': '0' }, 90],
    [
      {
        'x-ratelimit-reset-tokens': '17.39s',
        'x-ratelimit-remaining-tokens': '0',
        'x-ratelimit-reset-requests': '24h',
      },
      18,
    ],
    [{ 'x-ratelimit-reset-requests': '6ms' }, 1],
    [{ 'retry-after': 'soon' }, undefined],
    [{}, undefined],
  ])('%j: %p seconds', (headers, seconds) => {
    expect(readRetryAfterS(new Headers(headers))).toBe(seconds);
  });

  test('dates ahead', () => {
    const seconds = readRetryAfterS(
      new Headers({ 'retry-after': new Date(Date.now() + 60_000).toUTCString() }),
    );
    expect(seconds).toBeGreaterThan(50);
    expect(seconds).toBeLessThanOrEqual(60);
  });

  test('what the body says, where the headers are silent', () => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34.4s' }];
    expect(classify(429, { error: { message: 'x', details } }).detail.retryAfterS).toBe(35);
    expect(classify(429, { error: { message: 'Please try again in 1m2.5s.' } }).detail.retryAfterS).toBe(63);
  });

  test('nothing, where a retry is of no use', () => {
    expect(
      classify(400, { error: { message: 'x' } }, { 'x-ratelimit-reset-requests': '6ms' }).detail.retryAfterS,
    ).toBeUndefined();
  });
});

describe('an error inside a stream is', () => {
  test.each<[JsonObject, ErrorKind]>([
    [{ error: { message: 'x', type: 'server_error' } }, 'upstream_unavailable'],
    [{ error: { message: 'x', code: 'tool_use_failed', status_code: 400 } }, 'upstream_bad_request'],
    [{ error: { message: 'x', code: 429 } }, 'upstream_rate_limited'],
    [{ error: { message: 'x', code: '502' } }, 'upstream_unavailable'],
    [{ error: 'boom' }, 'upstream_unavailable'],
    [{ type: 'error', error: { type: 'overloaded_error', message: 'x' } }, 'upstream_overloaded'],
    [{ error: { message: 'x', type: 'insufficient_quota' } }, 'upstream_quota'],
    [{ error: { message: 'x', type: 'invalid_request_error' } }, 'upstream_bad_request'],
    [{ object: 'error', message: 'x', code: 500 }, 'upstream_unavailable'],
  ])('%j: %s', (payload, kind) => {
    expect(classifyErrorPayload(payload).kind).toBe(kind);
  });
});

describe("OpenAI's fixtures", () => {
  const folder = join(import.meta.dir, '../../fixtures/openai-chat');
  const kinds: Record<string, ErrorKind> = {
    'error-auth': 'upstream_auth',
    'error-bad-request': 'upstream_bad_request',
    'error-content-filter': 'upstream_content_filter',
    'error-context-length': 'context_length',
    'error-detail': 'upstream_bad_request',
    'error-not-found': 'upstream_not_found',
    'error-number-code': 'upstream_quota',
    'error-overloaded': 'upstream_overloaded',
    'error-quota': 'upstream_quota',
    'error-rate-limit': 'upstream_rate_limited',
    'error-text': 'upstream_bad_request',
  };

  test.each(readdirSync(folder).filter((name) => existsSync(join(folder, name, 'error.json'))))(
    '%s',
    (name) => {
      const { status, headers, body } = JSON.parse(readFileSync(join(folder, name, 'error.json'), 'utf8'));
      expect(openaiChat.readError(status, new Headers(headers), bytes(body)).kind).toBe(kinds[name]!);
    },
  );
});

describe('an error for a client of OpenAI Chat', () => {
  const told = (kind: ErrorKind, detail = {}) =>
    openaiChat.writeError(new GatewayError(kind, 'Why.', detail), 'r1');

  test.each(Object.keys(errorKinds) as ErrorKind[])(
    'has status, message, type, param and code: %s',
    (kind) => {
      const { status, body } = told(kind);
      expect(status).toBe(errorKinds[kind].status);
      const error = body.error as JsonObject;
      expect(Object.keys(error)).toEqual(['message', 'type', 'param', 'code']);
      expect(error.type).toBeString();
    },
  );

  test.each<[ErrorKind, string]>([
    ['unauthorized', 'invalid_api_key'],
    ['not_found', 'model_not_found'],
    ['rate_limited', 'rate_limit_exceeded'],
    ['budget_exceeded', 'insufficient_quota'],
    ['context_length', 'context_length_exceeded'],
    ['upstream_quota', 'insufficient_quota'],
  ])('says %s as %s', (kind, code) => {
    expect(told(kind).body).toMatchObject({ error: { code } });
  });

  test("keeps the code of a bad request, but not another dialect's type", () => {
    expect(told('upstream_bad_request', { code: 'unsupported_parameter', param: 'n' }).body).toMatchObject({
      error: { code: 'unsupported_parameter', param: 'n' },
    });
    expect(told('upstream_bad_request', { code: 'invalid_request_error' }).body).toMatchObject({
      error: { code: null },
    });
    expect(told('context_length', { code: 'invalid_request_error' }).body).toMatchObject({
      error: { code: 'context_length_exceeded' },
    });
  });

  test('names the request when the fault is inside', () => {
    expect(told('internal').body).toMatchObject({ error: { message: 'Why. (r1)' } });
  });
});

describe.skipIf(!haveRecordings)('recorded refusals', () => {
  const byStatus: Record<number, ErrorKind[]> = {
    400: ['upstream_bad_request', 'context_length', 'upstream_not_found', 'upstream_quota', 'upstream_auth'],
    401: ['upstream_auth'],
    404: ['upstream_not_found'],
    429: ['upstream_rate_limited'],
  };

  test.each(loadRecordings((entry) => entry.status >= 400).map((each) => [each.file, each] as const))(
    'are understood: %s',
    (file, { response }) => {
      const error = classify(response.status, response.body ?? response.sse ?? '', response.headers);
      expect(byStatus[response.status]).toContain(error.kind);
      // One body was recorded compressed.
      if (!file.includes('post-3f7425c4')) expect(error.message).not.toContain('no readable message');
      // Azure answered the long prompt with a rate limit, Google with a quota per minute.
      if (file.includes('context-length') && response.status === 400)
        expect(error.kind).toBe('context_length');
    },
  );
});
