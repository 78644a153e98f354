/** A strategy's children in the order of their scores, the lowest first, and who goes before them all the same. */
import type { Route } from '../../config/route.ts';
import type { Moment } from '../moment.ts';
import { isUp } from './expected.ts';

/** Beyond this the built-in sort is faster. */
const fewChildren = 64;

export class Ranking {
  readonly routes: Route[];

  /** @param scores one for each child; sorted likewise. Those of equal score stay in their order. */
  constructor(
    children: readonly Route[],
    readonly scores: number[],
  ) {
    this.routes = children.slice();
    if (children.length <= fewChildren) this.sortFew();
    else this.sortMany();
  }

  /**
   * Puts `child` first, unless a healthy one before it is much better: only then a change is worth what it costs.
   * @returns whether it is first.
   */
  prefer(child: Route, moment: Moment, isMuchBetter: (score: number, than: number) => boolean): boolean {
    const at = this.routes.indexOf(child);
    const own = this.scores[at]!;
    for (let i = 0; i < at && isMuchBetter(this.scores[i]!, own); i++)
      if (isUp(this.routes[i]!, moment)) return false;
    this.putFirst(at);
    return true;
  }

  putFirst(at: number): void {
    const route = this.routes[at]!;
    const score = this.scores[at]!;
    for (let i = at; i > 0; i--) {
      this.routes[i] = this.routes[i - 1]!;
      this.scores[i] = this.scores[i - 1]!;
    }
    this.routes[0] = route;
    this.scores[0] = score;
  }

  private sortFew(): void {
    const { routes, scores } = this;
    for (let i = 1; i < scores.length; i++) {
      const route = routes[i]!;
      const score = scores[i]!;
      let at = i;
      for (; at > 0 && scores[at - 1]! > score; at--) {
        routes[at] = routes[at - 1]!;
        scores[at] = scores[at - 1]!;
      }
      routes[at] = route;
      scores[at] = score;
    }
  }

  private sortMany(): void {
    const { routes, scores } = this;
    const all = routes.map((route, i) => ({ route, score: scores[i]! }));
    all.sort((a, b) => (a.score === b.score ? 0 : a.score - b.score));
    all.forEach(({ route, score }, i) => {
      routes[i] = route;
      scores[i] = score;
    });
  }
}
