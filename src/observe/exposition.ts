/**
 * Counters, gauges and histograms that cost an addition each, and their text for Prometheus. The usual client library
 * hashes the labels at every addition, which is more than all the rest of a call's bookkeeping.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 */

export const expositionType = 'text/plain; version=0.0.4; charset=utf-8';

/** One time series: whoever counts keeps it and adds to `value`. */
export interface Series {
  value: number;
}

/** One histogram series: `counts[i]` observations were at most `bounds[i]`, the last count is of those above all. */
export interface Distribution {
  counts: number[];
  sum: number;
}

type Labels = Readonly<Record<string, string>>;

export class Family {
  private readonly series = new Map<string, Series>();

  constructor(
    private readonly name: string,
    private readonly type: 'counter' | 'gauge',
    private readonly help: string,
  ) {}

  /** The series with these labels, made when first asked for. */
  with(labels: Labels): Series {
    const id = writeLabels(labels);
    let series = this.series.get(id);
    if (series === undefined) {
      series = { value: 0 };
      this.series.set(id, series);
    }
    return series;
  }

  write(): string {
    let text = head(this.name, this.type, this.help);
    for (const [labels, { value }] of this.series) text += `${this.name}${braced(labels)} ${value}\n`;
    return text;
  }
}

export class HistogramFamily {
  private readonly series = new Map<string, Distribution>();

  /** @param bounds upper bounds, ascending. */
  constructor(
    private readonly name: string,
    private readonly help: string,
    private readonly bounds: readonly number[],
  ) {}

  with(labels: Labels): Distribution {
    const id = writeLabels(labels);
    let series = this.series.get(id);
    if (series === undefined) {
      series = { counts: new Array<number>(this.bounds.length + 1).fill(0), sum: 0 };
      this.series.set(id, series);
    }
    return series;
  }

  observe(series: Distribution, value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]!) at++;
    series.counts[at]!++;
    series.sum += value;
  }

  write(): string {
    let text = head(this.name, 'histogram', this.help);
    for (const [labels, { counts, sum }] of this.series) {
      let below = 0;
      counts.forEach((count, i) => {
        below += count;
        const bound = `le="${this.bounds[i] ?? '+Inf'}"`;
        text += `${this.name}_bucket${braced(labels === '' ? bound : `${labels},${bound}`)} ${below}\n`;
      });
      text += `${this.name}_sum${braced(labels)} ${sum}\n${this.name}_count${braced(labels)} ${below}\n`;
    }
    return text;
  }
}

function head(name: string, type: string, help: string): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function braced(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function writeLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`)
    .join(',');
}
