/** Understands a provider's refusal, whatever its shape: what kind it is, when to retry, and words a client may hear. */
import { type ErrorDetail, type ErrorKind, errorKinds, GatewayError } from '../core/error.ts';
import { isObject, type Json, type JsonObject } from '../core/json.ts';
import { readDurationMs } from './durations.ts';

/** What an error body says, whoever wrote it. Empty strings where it says nothing. */
interface Complaint {
  message: string;
  /** `code`, `type` and `status` words, lower case, joined by spaces: what is looked for in them is whole words. */
  words: string;
  code: string | undefined;
  param: string | undefined;
  /** An HTTP status the body names. */
  status: number | undefined;
  retryDelayS: number | undefined;
}

const longestMessage = 2000;
const longestRetryS = 86_400;

/**
 * Classifies a refusal. `body` may be anything: any dialect's error, HTML, nothing. The answer is kept whole in
 * `detail.upstream`; the message is the provider's own, without secrets.
 */
export function classifyUpstreamError(status: number, headers: Headers, body: Uint8Array): GatewayError {
  const text = new TextDecoder().decode(body.subarray(0, 65_536)).trim();
  const complaint = readComplaint(text);
  const named = headers.get('x-amzn-errortype')?.split(':', 1)[0];
  if (named) {
    complaint.words = `${complaint.words} ${named}`.trim().toLowerCase();
    complaint.code ??= named;
  }
  const kind = kindOf(status < 400 ? (complaint.status ?? status) : status, complaint);
  const detail: ErrorDetail = {
    upstream: { status, body },
  };
  // 413, 415, 422…: the upstream's own status says more than 400.
  if (kind === 'upstream_bad_request' && status > 400 && status < 500) detail.status = status;
  const retryAfterS = readRetryAfterS(headers) ?? complaint.retryDelayS;
  return complain(kind, status, complaint, detail, retryAfterS);
}

/**
 * Classifies an error a provider reported inside a 200: an event of a stream or the body of a whole answer.
 * `payload` is the object that holds `error`, or is the error.
 */
export function classifyErrorPayload(payload: Json): GatewayError {
  const complaint = readPayload(payload);
  const kind = kindOf(complaint.status ?? 0, complaint);
  return complain(kind, complaint.status ?? 200, complaint, {}, complaint.retryDelayS);
}

function complain(
  verdict: Verdict,
  status: number,
  complaint: Complaint,
  detail: ErrorDetail,
  retryAfterS: number | undefined,
): GatewayError {
  const kind = verdict === notAllowed ? 'upstream_auth' : verdict;
  if (verdict === notAllowed) detail.blameless = true;
  if (complaint.code !== undefined) detail.code = complaint.code;
  if (complaint.param !== undefined) detail.param = complaint.param;
  // Rate-limit headers come with every answer; they say when to retry only where a retry makes sense.
  if (retryAfterS !== undefined && errorKinds[kind].retry)
    detail.retryAfterS = Math.min(retryAfterS, longestRetryS);
  const said = redactSecrets(complaint.message.slice(0, longestMessage));
  let message = said === '' ? `The provider answered with status ${status} and no readable message.` : said;
  if (kind === 'upstream_auth') {
    message =
      verdict === notAllowed
        ? 'The provider does not allow this to the gateway; your own key is fine.'
        : "The provider refused the gateway's own key, not yours; its operator has to replace it.";
    if (said !== '') message += ` It said: ${said}`;
  }
  return new GatewayError(kind, message, detail);
}

// What it means

/**
 * A model, a prompt or a place that is forbidden, which tells nothing of the key: it may be good for all else, and
 * whatever a client asks for must not cost others the key.
 */
const notAllowed = 'not_allowed';

type Verdict = ErrorKind | typeof notAllowed;

/** Bodies that mean more than their status, most telling first. `in`: where the words are looked for. */
const tells: readonly { kind: ErrorKind; words: RegExp; text: RegExp | undefined }[] = [
  {
    kind: 'context_length',
    words: /context_length_exceeded|context_window_exceeded|exceed_context_size|too_many_tokens/,
    text: new RegExp(
      [
        'maximum context length', // OpenAI, vLLM, DeepSeek, Mistral, OpenRouter
        'max(imum)? (prompt|context|input) (length|tokens)', // xAI, Ollama
        'prompt(?: is)? too long', // Anthropic, Ollama
        'context (window|size|length|limit)', // OpenAI Responses, llama.cpp, Groq, LM Studio
        'input tokens? (count|exceed)', // Gemini, Bedrock
        'input (is too long|length exceeds)', // Bedrock, Together
        'too many total text bytes', // Bedrock
        'too many (input )?tokens', // Cohere
        'reduce the length of the (messages|prompt|input)', // Groq
        'inputs` tokens \\+', // Text Generation Inference
      ].join('|'),
      'i',
    ),
  },
  {
    kind: 'upstream_quota',
    words:
      /insufficient_quota|billing_error|billing_hard_limit|payment_required|insufficient_(balance|credits)|servicequotaexceeded/,
    // xAI says it with a 403.
    text: /credit balance is too low|insufficient (balance|credits?|funds)|(out of|used all available|have any) credits/i,
  },
  {
    kind: 'upstream_content_filter',
    words: /content_filter|content_policy_violation|responsibleaipolicyviolation|data_inspection_failed/,
    // OpenRouter's moderation says it with a 403.
    text: /content management policy|violates usage guidelines|\b(was|were|been) flagged\b/i,
  },
  {
    kind: 'upstream_auth',
    words:
      /invalid_api_key|authentication_error|invalid_authentication|expiredtoken|unrecognizedclient|invalidsignature|api_key_[a-z]|access_token_[a-z]|service_disabled|consumer_(invalid|suspended)/,
    // xAI and Gemini say it with a 400.
    text: /(incorrect|invalid) api key|api key (is )?(not valid|invalid)/i,
  },
  {
    kind: 'upstream_not_found',
    words: /model_not_found|deploymentnotfound|not_found_error/,
    text: /not a valid model|model identifier is invalid|supported api model names|unknown model|on-demand throughput isn/i,
  },
  // Groq refuses with 413 what is too large for its tokens per minute.
  { kind: 'upstream_rate_limited', words: /rate_limit|resource_exhausted|throttling/, text: undefined },
  { kind: 'upstream_overloaded', words: /overloaded|unavailable|modelnotready/, text: undefined },
  { kind: 'upstream_timeout', words: /timeout_error|deadline_exceeded|modeltimeout/, text: undefined },
];

const byStatus: Readonly<Record<number, ErrorKind>> = {
  401: 'upstream_auth',
  402: 'upstream_quota',
  404: 'upstream_not_found',
  408: 'upstream_timeout',
  409: 'upstream_unavailable',
  424: 'upstream_unavailable',
  429: 'upstream_rate_limited',
  // Groq's word for "no capacity in this tier".
  498: 'upstream_overloaded',
  503: 'upstream_overloaded',
  504: 'upstream_timeout',
  524: 'upstream_timeout',
  529: 'upstream_overloaded',
};

/** Words that forbid something, with whatever status. */
const forbidding = /permission_error|permission_denied|accessdenied/;

const ours = 'api[ _-]?key|(access|secret|subscription) key|(bearer|access|security|auth) token|credentials?';
const unfit =
  'invalid|not valid|incorrect|wrong|expired|revoked|disabled|deactivated|suspended|blocked|leaked|missing|required|not found|unknown';

/** Where something is forbidden: texts that speak of the key, or of whose it is. */
const ofKey = new RegExp(
  [
    `\\b(${ours})\\b[^.]{0,60}\\b(${unfit})\\b`,
    `\\b(${unfit}|no)\\b[^.]{0,20}\\b(${ours})\\b`,
    '\\b(account|organi[sz]ation|project|team)\\b[^.]{0,40}\\b(deactivated|disabled|suspended|blocked)\\b',
    '\\b(not authenticated|unauthenticated|authentication (failed|required)|unregistered callers)\\b',
  ].join('|'),
  'i',
);

function kindOf(status: number, complaint: Complaint): Verdict {
  for (const { kind, words } of tells) if (words.test(complaint.words)) return kind;
  // Texts are trusted where the status leaves the question open; a 429 that speaks of tokens is a rate limit.
  if (byStatus[status] === undefined) {
    for (const { kind, text } of tells) if (text?.test(complaint.message)) return kind;
  }
  const kind = byStatus[status];
  if (kind !== undefined) return kind;
  if (status === 403 || forbidding.test(complaint.words)) {
    return ofKey.test(complaint.message) ? 'upstream_auth' : notAllowed;
  }
  if (status >= 500) return 'upstream_unavailable';
  if (status >= 400) return 'upstream_bad_request';
  if (status >= 300) return 'upstream_invalid';
  if (/invalid_request|bad_request|tool_use_failed/.test(complaint.words)) return 'upstream_bad_request';
  return 'upstream_unavailable';
}

// What it says

function readComplaint(text: string): Complaint {
  if (text.startsWith('{') || text.startsWith('[')) {
    try {
      return readPayload(JSON.parse(text));
    } catch {
      // Not JSON after all: treated as text.
    }
  }
  // HTML of a proxy and bytes that are no text say nothing to a client.
  const plain = text.length <= 500 && /^[^<\p{C}][^\p{C}]*\s[^\p{C}]*$/u.test(text) ? text : '';
  return {
    message: plain,
    words: '',
    code: undefined,
    param: undefined,
    status: undefined,
    retryDelayS: undefined,
  };
}

/**
 * Error objects seen: `{error:{message,type,code,param}}`, `{error:"text"}`, `{message}`, `{Message}`, `{detail:"text"}`,
 * `{detail:[{msg,loc}]}`, `{errors:[…]}`, and any of them inside an array. Codes are words or numbers; AWS names its
 * own in `__type`, or in the header `x-amzn-errortype`.
 */
function readPayload(payload: Json): Complaint {
  const outer = Array.isArray(payload) ? payload[0] : payload;
  const root: JsonObject = isObject(outer) ? outer : { message: outer };
  const inner = root.error ?? (Array.isArray(root.errors) ? root.errors[0] : root.errors) ?? undefined;
  const error: JsonObject = isObject(inner) ? inner : { ...root, message: inner ?? root.message };
  const metadata = isObject(error.metadata) ? error.metadata : {};
  const innerError = isObject(error.innererror) ? error.innererror : {};
  const message =
    messageOf(error.message) ||
    messageOf(error.detail) ||
    messageOf(root.message) ||
    messageOf(root.detail) ||
    messageOf(root.Message);
  const words = [
    root.__type,
    error.code,
    error.type,
    error.status,
    innerError.code,
    error.reason,
    ...reasonsOf(error.details),
  ];
  const code = [error.code, error.type].find((word) => typeof word === 'string' && !/^\d+$/.test(word));
  return {
    // A broker's "Provider returned error" says less than what it was told.
    message: /^provider returned error\.?$/i.test(message) ? messageOf(metadata.raw) || message : message,
    words: words
      .filter((word) => typeof word === 'string')
      .join(' ')
      .toLowerCase(),
    code: typeof code === 'string' ? code : undefined,
    param: typeof error.param === 'string' ? error.param : undefined,
    status: [error.status_code, error.code, root.code, error.status]
      .map(Number)
      .find((n) => n >= 400 && n < 600),
    retryDelayS: readRetryDelayS(error.details, message),
  };
}

function messageOf(value: Json | undefined): string {
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.map(messageOf).filter(Boolean).join('; ');
  if (!isObject(value)) return '';
  const where = Array.isArray(value.loc) ? `${value.loc.join('.')}: ` : '';
  const said = messageOf(value.message) || messageOf(value.msg);
  return said === '' ? '' : where + said;
}

/** Google's `details[].reason`: API_KEY_INVALID comes with a plain 400. */
function reasonsOf(details: Json | undefined): (Json | undefined)[] {
  return Array.isArray(details) ? details.map((each) => (isObject(each) ? each.reason : undefined)) : [];
}

// When to come back

function readRetryDelayS(details: Json | undefined, message: string): number | undefined {
  for (const each of Array.isArray(details) ? details : []) {
    if (isObject(each) && typeof each.retryDelay === 'string') return readDurationS(each.retryDelay);
  }
  const told = /(?:retry|try again) in ((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)/i.exec(message);
  return told?.[1] === undefined ? undefined : readDurationS(told[1]);
}

/**
 * Whole seconds after which the provider wants to be asked again: `retry-after-ms`, `retry-after` (seconds or date),
 * else the reset of the limit that is used up (`x-ratelimit-reset-*`, `anthropic-ratelimit-*-reset`).
 */
export function readRetryAfterS(headers: Headers): number | undefined {
  const ms = Number(headers.get('retry-after-ms'));
  if (ms > 0) return Math.ceil(ms / 1000);
  const after = headers.get('retry-after');
  const afterS = after === null ? undefined : readDurationS(after);
  if (afterS !== undefined) return afterS;
  const spent: number[] = [];
  const others: number[] = [];
  for (const [name, value] of headers) {
    if (!name.includes('ratelimit') || !name.includes('reset')) continue;
    const resetS = readDurationS(value);
    if (resetS === undefined || resetS === 0) continue;
    const remaining = headers.get(name.replace('reset', 'remaining'));
    (remaining !== null && Number(remaining) === 0 ? spent : others).push(resetS);
  }
  if (spent.length > 0) return Math.max(...spent);
  return others.length > 0 ? Math.min(...others) : undefined;
}

/** Whole seconds from now, rather too many than too few. */
function readDurationS(text: string): number | undefined {
  const ms = readDurationMs(text, Date.now());
  return ms === undefined ? undefined : Math.ceil(ms / 1000);
}

// What it must not say

const secrets: readonly [RegExp, string][] = [
  [/\bBearer\s+[^\s"',;]+/gi, 'Bearer [redacted]'],
  [/\beyJ[\w-]+\.[\w-]+(\.[\w-]*)?/g, '[redacted]'],
  [/\bAIza[\w-]{20,}/g, '[redacted]'],
  // Names of AWS resources tell the account, the user and the role.
  [/\barn:aws[\w-]*:[^\s"',;)]+/g, '[redacted]'],
  [/([?&](?:key|api_?key|token|access_token)=)[^&\s"']+/gi, '$1[redacted]'],
  [/\b(?:sk|pk|rk|gsk|csk|xai|nvapi|pplx|fw|hf|r8|tgp|org|proj)[-_][\w*.-]*[\w*]/g, '[redacted]'],
  [/\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,}\b/g, '[redacted]'],
  [
    /\bhttps?:\/\/(?:localhost|127\.|10\.|192\.168\.|169\.254\.|172\.(?:1[6-9]|2\d|3[01])\.|[\w.-]+\.(?:internal|local|svc)\b)[^\s"')]*/gi,
    '[internal address]',
  ],
];

/** Replaces keys, tokens, account ids and private addresses in a provider's words. */
export function redactSecrets(text: string): string {
  let clean = text;
  for (const [pattern, replacement] of secrets) clean = clean.replace(pattern, replacement);
  return clean;
}
