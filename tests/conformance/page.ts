/**
 * Writes docs/conformance.md, or with `--check` exits with 1 when it is not what would be written. Where the recordings
 * are absent, what they show stays as it is.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DialectName } from '../../src/core/chat.ts';
import { clientDialects, dialects } from '../../src/dialects/index.ts';
import { hostsOf } from '../laws/hosts.ts';
import { haveRecordings } from '../recordings.ts';
import { answerFeatures } from './answer-features.ts';
import { exceptions } from './exceptions.ts';
import { pairOf, type RecordedTraffic, type Tally, tryLive } from './live.ts';
import { requestFeatures } from './request-features.ts';
import { type Finding, type Outcome, surveyAnswers, surveyHost, surveyRequests } from './survey.ts';

const file = join(import.meta.dir, '../../docs/conformance.md');
const providers = [...dialects.keys()];
const clients = clientDialects.map(({ name }) => name);

/** What stands between these comes from the recordings. */
const marks = ['<!-- recorded traffic -->', '<!-- end of recorded traffic -->'] as const;

// Cells

function cellOf(outcomes: readonly Outcome[] | undefined): string {
  if (outcomes === undefined) return '';
  return outcomes.map(wordFor).join('; some ');
}

function wordFor({ by, lost, refused }: Outcome): string {
  if (refused.length > 0) return '✗';
  const names = lost.filter(Boolean).map((name) => `\`${name}\``);
  const left = lost.length === 0 ? '' : ['–', names.join(', ')].join(' ').trim();
  if (by !== undefined) return `✓ by ${by}${left === '' ? '' : `, ${left}`}`;
  return left || '✓';
}

type Verdict = 'said' | 'left out' | 'refused';

function verdictOn(outcomes: readonly Outcome[]): Verdict {
  if (outcomes.every(({ refused }) => refused.length > 0)) return 'refused';
  return outcomes.some(({ lost, refused }) => lost.length + refused.length === 0) ? 'said' : 'left out';
}

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

// Tables

/** The features of the findings, in the order they are listed in. */
function inOrder(findings: readonly Finding[]): string[] {
  const found = new Set(findings.map(({ feature }) => feature));
  const listed = [...requestFeatures, ...answerFeatures].map(({ name }) => name);
  return [...listed.filter((name) => found.delete(name)), ...found];
}

/** Clients whose rows are the same share one. */
function featureTable(findings: readonly Finding[]): string {
  const rows: string[][] = [];
  for (const feature of inOrder(findings)) {
    const alike = new Map<string, { clients: DialectName[]; cells: string[] }>();
    for (const { client, row } of findings.filter((finding) => finding.feature === feature)) {
      const cells = providers.map((provider) => cellOf(row.get(provider)));
      const key = cells.join('|');
      const group = alike.get(key) ?? { clients: [], cells };
      group.clients.push(client);
      alike.set(key, group);
    }
    for (const { clients: those, cells } of alike.values()) {
      const names = those.length === clients.length ? 'all' : those.join(', ');
      rows.push([feature, names, ...cells]);
    }
  }
  return tableOf(['', 'clients of', ...providers], rows);
}

function overviewTable(findings: readonly Finding[], { answers, refusals }: RecordedTraffic): string {
  const say = (tally: Tally | undefined): string =>
    tally === undefined ? '0' : `${tally.right}/${tally.all}`;
  const rows = clients.map((client) => [
    client,
    ...providers.map((provider) => {
      const tally: Record<Verdict, number> = { said: 0, 'left out': 0, refused: 0 };
      for (const finding of findings) {
        const outcomes = finding.client === client ? finding.row.get(provider) : undefined;
        if (outcomes !== undefined) tally[verdictOn(outcomes)]++;
      }
      const { said, 'left out': left, refused } = tally;
      const features = [`${said} ✓`, left && `${left} –`, refused && `${refused} ✗`].filter(Boolean);
      const pair = pairOf(client, provider);
      return `${features.join(' · ')}<br>${say(answers.get(pair))} read, ${say(refusals.get(pair))} refused`;
    }),
  ]);
  return tableOf(['clients of', ...providers], rows);
}

function totalOf(...tallies: Map<string, Tally>[]): Tally {
  const all = tallies.flatMap((each) => [...each.values()]);
  return {
    right: all.reduce((sum, { right }) => sum + right, 0),
    all: all.reduce((sum, tally) => sum + tally.all, 0),
  };
}

function lossList(findings: readonly Finding[]): string {
  const losses = new Map<string, Set<string>>();
  for (const { feature, row } of findings) {
    for (const [provider, outcomes] of row) {
      for (const { lost, refused } of outcomes) {
        for (const [names, how] of [
          [lost, 'left out'],
          [refused, 'refused'],
        ] as const) {
          for (const name of names) {
            const key = `${feature}: \`${name}\` is ${how}`;
            losses.set(key, (losses.get(key) ?? new Set()).add(provider));
          }
        }
      }
    }
  }
  return [...losses].map(([loss, where]) => `- ${loss} by ${[...where].sort().join(', ')}`).join('\n');
}

/** Features that some hosts or models of a dialect are asked for otherwise than the dialect itself. */
function hostTable(plain: readonly Finding[]): string {
  const rows: string[][] = [];
  for (const provider of dialects.values()) {
    const others = new Map<string, string[]>();
    for (const { name, quirks } of hostsOf(provider.name)) {
      for (const [feature, cells] of differencesOf(plain, surveyHost(provider, quirks), provider.name)) {
        const key = JSON.stringify([feature, [...cells].join(' or ')]);
        others.set(key, [...(others.get(key) ?? []), `\`${name.replace(/\/any$/, '')}\``]);
      }
    }
    for (const [key, names] of others) rows.push([provider.name, ...JSON.parse(key), names.join(', ')]);
  }
  return tableOf(['dialect', '', 'is', 'at'], rows);
}

/** What becomes of a feature there, whoever the client is, where it is not what usually does. */
function differencesOf(
  plain: readonly Finding[],
  here: readonly Finding[],
  provider: DialectName,
): Map<string, Set<string>> {
  const differences = new Map<string, Set<string>>();
  for (const { feature, client, row } of here) {
    const usual = plain.find((each) => each.feature === feature && each.client === client)?.row;
    const cell = cellOf(row.get(provider));
    if (cell === cellOf(usual?.get(provider))) continue;
    differences.set(feature, (differences.get(feature) ?? new Set()).add(cell));
  }
  return differences;
}

// The page

async function writePage(before: string): Promise<string> {
  const { recorded, findings: live } = await tryLive();
  const requests = [...surveyRequests(), ...live];
  const answers = surveyAnswers();
  const all = [...requests, ...answers];
  const groups = [...new Set(requests.map(({ group }) => group))];
  const sections = groups.map(
    (group) => `### ${group}\n\n${featureTable(requests.filter((finding) => finding.group === group))}`,
  );
  return `# Conformance

Every dialect that clients speak, against every dialect that providers speak. This page is written by \`npm run conformance\`,
which tries all of it; nothing here is written by hand, and the checks of every change fail when it is stale.

${haveRecordings ? recordedSection(all, recorded) : keptSection(before)}

## What clients ask for

Every request of the fixtures, reduced to one thing at a time, read and written as the gateway does. ✓ natively, or by other
means, which are named: *by instruction* in words, checked, and asked once more when wrong; *by fetching* what stands at an address;
*by asking again* for each further answer; *by an estimate* of the gateway's own. Clients that are not listed have no word for it.

${sections.join('\n\n')}

## What clients hear

Every answer of the fixtures, whole and streamed, written for a client and read again.

${featureTable(answers)}

## Hosts and models that differ

The tables above are of the dialects as their vendors document them. Of what the catalogue's hosts and models want otherwise:

${hostTable(requests)}

## What is lost, by name

As \`x-sluice-lost\` and the messages of refusals name it.

${lossList(requests)}
`;
}

function recordedSection(findings: readonly Finding[], recorded: RecordedTraffic): string {
  const read = totalOf(recorded.answers);
  const refused = totalOf(recorded.refusals);
  const rows = exceptions.map(({ file: name, clients: those, when, why }) => [
    `\`${name.source.replaceAll('|', '\\|').replaceAll('\\/', '/').replaceAll('\\.', '.')}\``,
    those === undefined ? 'all' : those.source.replace(/[\\^$]/g, ''),
    when ?? 'always',
    why,
  ]);
  return `${marks[0]}
## Overview

What a client can say to a provider and hear from one, of the things below that its dialect has words for: ✓ said, natively or by
other means; – left out, and named in \`x-sluice-lost\`; ✗ refused, so that a route goes on to its next target. Then recorded
traffic, replayed by a provider behind a running gateway: how many answers, whole and streamed, \`openai\`, \`@anthropic-ai/sdk\`,
\`@google/genai\` and \`ai\` read as the vendor's own client reads the recording (text, thoughts, tool calls, why it ended, usage),
and how many refusals reach them as their own error of the right status: ${read.right} of ${read.all}, and ${refused.right} of ${refused.all}.

${overviewTable(findings, recorded)}

A reading may differ from that of the vendor's own client for a reason:

${tableOf(['recording', 'client', 'when', 'why'], rows)}
${marks[1]}`;
}

function keptSection(before: string): string {
  const begin = before.indexOf(marks[0]);
  const end = before.indexOf(marks[1]);
  return begin < 0 || end < 0 ? marks.join('\n') : before.slice(begin, end + marks[1].length);
}

const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
const page = await writePage(before);
if (process.argv.includes('--check')) {
  if (page !== before) {
    process.stderr.write('docs/conformance.md is stale; run: npm run conformance\n');
    process.exitCode = 1;
  }
} else writeFileSync(file, page);
process.exit();
