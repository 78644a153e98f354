/** Where an answer meets what goes on with it: nothing is lost, and nothing said twice. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { anchorOf, type Repeats, Seam } from '../../src/gateway/resume/seam.ts';

/** What the client reads behind what it has been shown. */
function join(shown: string, pieces: readonly string[], repeats: Repeats = 'anchor'): string {
  const seam = new Seam(shown, repeats);
  return shown + pieces.map((piece) => seam.push(piece)).join('') + seam.end();
}

function cutAt(text: string, cuts: readonly number[]): string[] {
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
  return [0, ...places].map((from, i) => text.slice(from, places[i] ?? text.length));
}

const cuts = fc.array(fc.nat(), { maxLength: 12 });
/** Much of it repeats itself. */
const odd = fc.string({
  unit: fc.constantFrom('a', 'b', ' ', '\n', '.', 'ha ', '字', '👍', 'word '),
  maxLength: 300,
});
const words = fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 1, maxLength: 120 });

describe('a model that repeats the last words, as it is asked to', () => {
  test('makes any text whole, wherever it was cut and however it comes', () => {
    fc.assert(
      fc.property(odd, odd, cuts, (shown, rest, at) => {
        const blank = shown.slice(shown.trimEnd().length);
        const whole = anchorOf(shown) === '' ? rest : anchorOf(shown) + blank + rest;
        fc.pre(anchorOf(shown) !== '' || blank === '');
        expect(join(shown, cutAt(whole, at))).toBe(shown + rest);
      }),
      { numRuns: 500 },
    );
  });

  test('and leaves out white space at their end, which nobody can see', () => {
    expect(join('One.\n\n', ['One', '.', ' Two.'])).toBe('One.\n\n Two.');
    expect(join('One.\n\n', ['One.\n', '\nTwo.'])).toBe('One.\n\nTwo.');
    expect(join('One. ', ['One. ', 'Two.'])).toBe('One. Two.');
  });

  test('and has no more to say, adds nothing', () => {
    expect(join('That is all.', ['That is', ' all.'])).toBe('That is all.');
  });
});

describe('a model that does otherwise', () => {
  test('goes on where it likes in what was shown: any split, any overlap of a text that does not repeat itself', () => {
    fc.assert(
      fc.property(words, fc.nat(), fc.nat(), cuts, (some, split, overlap, at) => {
        // Each word once: what repeats itself cannot be told from what is repeated.
        const text = [...new Set(some)].map((word, i) => `${i}${word}`).join(' ');
        const place = split % (text.length + 1);
        const shown = text.slice(0, place);
        const begin = text.lastIndexOf(' ', Math.max(0, place - 1 - (overlap % (place + 1)))) + 1;
        expect(join(shown, cutAt(text.slice(Math.min(begin, place)), at))).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test('goes on at once: nothing of a new text is lost', () => {
    fc.assert(
      fc.property(words, words, cuts, (before, after, at) => {
        const shown = before.map((word, i) => `${word}${2 * i}`).join(' ');
        const rest = ` ${after.map((word, i) => `${word.toUpperCase()}${2 * i + 1}`).join(' ')}`;
        expect(join(shown, cutAt(rest, at))).toBe(shown + rest);
      }),
    );
  });

  test('says the word again that was cut', () => {
    expect(join('the quick bro', ['brown', ' fox'])).toBe('the quick brown fox');
  });

  test('begins by chance with a letter that was the last', () => {
    expect(join('hel', ['lo'])).toBe('hello');
    expect(join('The end of a bal', ['l', 'ad'])).toBe('The end of a ballad');
  });

  test('begins from the start', () => {
    const text = Array.from({ length: 900 }, (_, i) => `line ${i}`).join('\n');
    expect(join(text.slice(0, 5000), cutAt(text, [900, 1800, 4999, 5003]))).toBe(text);
  });
});

describe('a model that goes on with its own beginning', () => {
  test('may say anything: nothing is taken for a repetition', () => {
    fc.assert(
      fc.property(odd, odd, cuts, (shown, rest, at) => {
        fc.pre(shown === shown.trimEnd());
        expect(join(shown, cutAt(rest, at), 'nothing')).toBe(shown + rest);
      }),
    );
  });

  test('was not shown the white space at its end, and makes it again', () => {
    expect(join('One.\n\n', ['\n', '\nTwo.'], 'nothing')).toBe('One.\n\nTwo.');
    expect(join('for (;;) {\n  ', ['\n    ', 'x();'], 'nothing')).toBe('for (;;) {\n    x();');
  });

  test('may be given back all of it by its host, or not', () => {
    expect(join('One. Two', ['One.', ' Two', ', three.'], 'all')).toBe('One. Two, three.');
    expect(join('One. Two', [', three.'], 'all')).toBe('One. Two, three.');
    expect(join('One. Two', [' Two'], 'all')).toBe('One. Two Two');
  });
});

test('what it is held back for is decided as soon as it can be', () => {
  const seam = new Seam('one two three', 'anchor');
  expect(seam.push('one two ')).toBe('');
  expect(seam.push('three')).toBe('');
  expect(seam.push(' four')).toBe(' four');
  const other = new Seam('one two three', 'anchor');
  expect(other.push(' four')).toBe(' four');
});
