/** Where an answer that broke off meets what goes on with it: what the second repeats of the first is left out. */

/** Overlaps that begin within this many characters of the end are looked for, and the repetition of all. */
const maxOverlap = 2000;
const anchorChars = 80;
/** An overlap that begins inside a word may be chance, unless it is as long as this. */
const surelyRepeated = 12;

/**
 * What may come again: the `anchor`, and what stands before it; `all` that was shown, or nothing of it; `nothing`. In each
 * case white space at the end of what was shown.
 */
export type Repeats = 'anchor' | 'all' | 'nothing';

/** The last words of a text, which whoever goes on with it is asked to repeat; '' where there are none. */
export function anchorOf(shown: string): string {
  const said = shown.trimEnd();
  const tail = said.slice(-anchorChars);
  // From the beginning of a word, where one is near.
  const word = tail.length < said.length ? /\s\S/.exec(tail.slice(0, anchorChars / 2)) : null;
  return tail.slice(word === null ? 0 : word.index + 1).trimStart();
}

/**
 * Text is held back until it is decided how much of it repeats what was shown: the anchor, if it begins with that;
 * otherwise the longest overlap that is not likely to be chance.
 */
export class Seam {
  private readonly said: string;
  /** White space at the end of what was shown, as far as it has not come again. */
  private blank: string;
  private readonly anchorAt: number;
  /** Where in `said` what has come may have begun. */
  private places: number[];
  /** White space before the first word, which goes with the overlap. */
  private lead = '';
  private held = '';
  private decided: boolean;
  /** Of the overlaps that have turned out to be some, where the longest begins. */
  private best = -1;

  constructor(shown: string, repeats: Repeats) {
    this.said = shown.trimEnd();
    this.blank = shown.slice(this.said.length);
    this.anchorAt = repeats === 'anchor' ? this.said.length - anchorOf(shown).length : 0;
    this.decided = repeats === 'nothing' || this.said === '';
    this.places = repeats === 'all' ? [0] : placesIn(this.said);
  }

  /** @returns what of the text so far can be shown. */
  push(text: string): string {
    if (this.decided) return this.afterBlank(text);
    let piece = text;
    if (this.held === '') {
      piece = text.trimStart();
      this.lead += text.slice(0, text.length - piece.length);
      if (piece === '') return '';
    }
    this.compare(piece);
    if (this.best === this.anchorAt || !this.places.some((place) => this.best < 0 || place < this.best))
      return this.decide();
    return '';
  }

  /** Nothing more comes. @returns what was held back. */
  end(): string {
    return this.decided ? '' : this.decide();
  }

  private compare(piece: string): void {
    const { said, held } = this;
    this.held = held + piece;
    this.places = this.places.filter((place) => {
      const at = place + held.length;
      const rest = said.length - at;
      if (!said.startsWith(rest < piece.length ? piece.slice(0, rest) : piece, at)) return false;
      if (rest > piece.length) return true;
      const better = this.best < 0 || place < this.best || place === this.anchorAt;
      if (better && this.best !== this.anchorAt && this.isRepetition(place)) this.best = place;
      return false;
    });
  }

  private isRepetition(place: number): boolean {
    const { said } = this;
    if (place === this.anchorAt || said.length - place >= surelyRepeated) return true;
    return isWordStart(said, place) && /[\p{L}\p{N}]/u.test(said.slice(place));
  }

  private decide(): string {
    const { best, lead, held, said } = this;
    this.decided = true;
    this.places = [];
    this.lead = '';
    this.held = '';
    return this.afterBlank(best < 0 ? lead + held : held.slice(said.length - best));
  }

  private afterBlank(text: string): string {
    if (this.blank === '') return text;
    let same = 0;
    while (same < text.length && same < this.blank.length && text[same] === this.blank[same]) same++;
    this.blank = same < text.length ? '' : this.blank.slice(same);
    return text.slice(same);
  }
}

function placesIn(said: string): number[] {
  const first = Math.max(0, said.length - maxOverlap);
  const places = first === 0 ? [] : [0];
  for (let place = first; place < said.length; place++) places.push(place);
  return places;
}

function isWordStart(text: string, at: number): boolean {
  return at === 0 || /\s/.test(text[at - 1]!);
}
