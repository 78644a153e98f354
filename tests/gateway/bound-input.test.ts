/** What limits hold for a prompt: no less than tokenizers count, whatever the script, and not far more. */
import { describe, expect, test } from 'bun:test';
import { countTokens as countNewer } from 'gpt-tokenizer/encoding/o200k_base';
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts';
import { boundInput, correctBound, inputRatio, isOnlyText } from '../../src/gateway/bound-input.ts';
import { boundText } from '../../src/gateway/bound-text.ts';
import { Habits } from '../../src/routing/measures/habits.ts';

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

/** The same each time. */
function draw(count: number, letters: string): string {
  let state = 7;
  return Array.from({ length: count }, () => {
    state = Math.imul(state ^ (state >>> 15), state | 1) + 0x6d2b79f5;
    return letters[(state >>> 9) % letters.length];
  }).join('');
}
const base64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

describe('text', () => {
  // The last number: at most so many times what is counted.
  test.each([
    ['English', 'The quick brown fox jumps over the lazy dog, and nobody minds. '.repeat(50), 2],
    ['code', 'export function add(a: number, b: number): number {\n  return a + b;\n}\n'.repeat(50), 2],
    ['Chinese', '人工智能正在改变我们的生活方式，许多企业已经开始使用大型语言模型。'.repeat(30), 3.5],
    ['Japanese', '東京は日本の首都であり、世界で最も人口の多い都市の一つです。'.repeat(30), 3],
    ['Korean', '많은 기업들이 대규모 언어 모델을 사용하기 시작했습니다. '.repeat(30), 3.5],
    ['Arabic', 'الذكاء الاصطناعي يغير طريقة حياتنا وقد بدأت العديد من الشركات. '.repeat(30), 4],
    ['Hindi', 'कृत्रिम बुद्धिमत्ता हमारे जीवन के तरीके को बदल रही है। '.repeat(30), 6],
    ['Thai', 'ปัญญาประดิษฐ์กำลังเปลี่ยนแปลงวิถีชีวิตของเรา'.repeat(30), 5],
    ['Amharic', 'ሰው ሰራሽ የማሰብ ችሎታ የአኗኗር ዘይቤያችንን እየለወጠ ነው። '.repeat(30), 3],
    ['emoji', '😀🎉🧑‍💻🇩🇪🏳️‍🌈👍🏽'.repeat(40), 3],
    ['base64', draw(8000, base64), 1.6],
    ['hex', draw(8000, '0123456789abcdef'), 2],
    ['digits', draw(3000, '0123456789'), 3],
    ['signs', draw(3000, '!@#$%^&*(){}[]<>?/|~`+=-_;:,.'), 2],
  ])('%s', (_, text, most) => {
    const counted = countNewer(text);
    const bound = boundText(bytesOf(text));
    expect(bound).toBeGreaterThanOrEqual(counted);
    expect(bound).toBeLessThanOrEqual(counted * most);
  });

  test('in escapes is taken for what it spells', () => {
    const text = '人工智能'.repeat(100);
    const escaped = [...text].map((char) => `\\u${char.charCodeAt(0).toString(16)}`).join('');
    expect(boundText(new TextEncoder().encode(escaped))).toBeGreaterThanOrEqual(countNewer(text));
  });
});

describe('media', () => {
  const read = (body: object) => anthropicMessages.readRequest(JSON.parse(JSON.stringify(body)));
  const boundOf = (...content: object[]): number => {
    const body = { model: 'm', max_tokens: 10, messages: [{ role: 'user', content }] };
    return boundInput(bytesOf(body), isOnlyText(bytesOf(body)), () => read(body));
  };
  const data = draw(400_000, base64);

  test('an image has so many tokens at most, whatever its bytes, and also by its address', () => {
    const source = { type: 'base64', media_type: 'image/png', data };
    expect(boundOf({ type: 'image', source })).toBeWithin(5000, 5100);
    expect(boundOf({ type: 'image', source: { type: 'url', url: 'https://example.org/x.png' } })).toBeWithin(
      5000,
      5100,
    );
    expect(boundOf({ type: 'image', source }, { type: 'image', source })).toBeWithin(10_000, 10_100);
  });

  test('an image among what a tool has given counts as well', () => {
    const source = { type: 'base64', media_type: 'image/png', data };
    const tool = { type: 'tool_result', tool_use_id: 't', content: [{ type: 'image', source }] };
    expect(boundOf(tool)).toBeWithin(5000, 5100);
  });

  test('a document is taken by its bytes', () => {
    const source = { type: 'base64', media_type: 'application/pdf', data };
    expect(boundOf({ type: 'document', source })).toBeWithin(70_000, 80_000);
  });

  test('a text that is only about images is text, and one that nobody understands as well', () => {
    expect(boundOf({ type: 'text', text: 'What is an "image"?' })).toBeWithin(5, 40);
    const odd = { messages: [{ content: [{ type: 'image', source: 7 }] }] };
    const fail = () => {
      throw new Error('odd');
    };
    expect(boundInput(bytesOf(odd), false, fail)).toBe(boundText(bytesOf(odd)));
  });
});

describe('what was learned', () => {
  const learned = (...prompts: [input: number, bound: number][]): number | undefined => {
    const habits = new Habits();
    for (const [input, bound] of prompts) habits.asked(inputRatio(input, bound));
    return habits.inputRatio;
  };

  test('of nothing, nothing is changed', () => expect(correctBound(1000, learned())).toBe(1000));

  test('a tokenizer that counts twice as much is believed at once', () => {
    const bound = correctBound(1000, learned([2000, 1000]));
    expect(bound).toBeWithin(2000, 2600);
  });

  test('what hosts add of their own is added, not multiplied', () => {
    expect(correctBound(20, learned([520, 20]))).toBeWithin(520, 800);
    expect(
      correctBound(20_000, learned(...Array.from({ length: 50 }, () => [300, 290] as [number, number]))),
    ).toBeWithin(20_000, 26_000);
  });

  test('a bound that is far too high comes down, but not by much more than a third', () => {
    const prompts = Array.from({ length: 200 }, () => [200, 1000] as [number, number]);
    expect(correctBound(1000, learned(...prompts))).toBe(600);
    expect(correctBound(100, learned(...prompts))).toBe(100);
  });

  test('nineteen of twenty prompts have no more than is held for them', () => {
    let over = 0;
    const habits = new Habits();
    for (let i = 0; i < 2000; i++) {
      const bound = 1000;
      const input = 500 + ((i * 7919) % 1000);
      if (i > 100 && input > correctBound(bound, habits.inputRatio)) over++;
      habits.asked(inputRatio(input, bound));
    }
    expect(over / 1900).toBeLessThan(0.1);
  });
});
