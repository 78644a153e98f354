/** Where a host speaks a dialect, and what it wants otherwise than the dialect says: data, and how it is filled in. */
import type { JsonObject } from '../core/json.ts';
import type { RealtimeAt } from '../dialects/dialect.ts';
import type { Framing } from '../wire/framing.ts';
import type { AuthScheme } from './auth.ts';

/** `url`, `path` and `streamPath` may hold placeholders: `{region}` and other settings, and `{model}`. */
export interface Place {
  /** Base URL. One that begins with `/`, or is empty, is below the entry's own `url`. */
  url: string;
  /** Only these models are asked for here. */
  models?: RegExp;
  /** Only calls that are authorised in one of these ways are made here. */
  auth?: readonly AuthScheme[];
  /** Path of a chat call below `url`; default: the dialect's own. */
  path?: string;
  /** The same of a stream; default: `path`. */
  streamPath?: string;
  /** Where realtime sessions are held below `url`; default: as the dialect says, where `path` is its own. */
  realtime?: RealtimeAt;
  /** Top-level members that every request has here. */
  set?: Readonly<JsonObject>;
  /** Top-level members that no request has here. */
  remove?: readonly string[];
  /** Request headers of a client that are top-level members here: a list of what stands between the commas. */
  lift?: Readonly<Record<string, string>>;
  /** How streams lie in bytes; default: as the dialect says. */
  framing?: Framing;
  /** Refusals are the host's own, not the dialect's: they are not for a client to see as they are. */
  ownErrors?: boolean;
}

/** What a provider's configuration may say about where it is; its URLs have placeholders by these names. */
export const settingNames = ['account', 'api_version', 'location', 'project', 'region', 'resource'] as const;

export type SettingName = (typeof settingNames)[number];

export type Settings = Readonly<Partial<Record<SettingName, string>>>;

/** A value that changes nothing of a URL but what it stands for, and what to write, for example. */
export const settingForms: Readonly<Record<SettingName, { form: RegExp; example: string }>> = {
  account: { form: /^\w[\w-]*$/, example: 'my-account' },
  api_version: { form: /^\d{4}-\d\d-\d\d(-preview)?$/, example: '2024-10-21' },
  location: { form: /^[a-z][a-z\d-]*$/, example: 'us-central1' },
  project: { form: /^\w[\w.:-]*$/, example: 'my-project' },
  region: { form: /^[a-z][a-z\d-]*$/, example: 'us-east-1' },
  resource: { form: /^\w[\w-]*$/, example: 'my-resource' },
};

/** A host name that depends on a setting: the placeholder `{host}`. */
export interface HostName {
  by: SettingName;
  usual: string;
  /** Values of the setting with a host name of their own. */
  of: Readonly<Record<string, string>>;
}

/** The names between the braces of a template. */
export function placeholdersOf(template: string): string[] {
  return [...template.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!);
}

/** The template with `values` in place of its placeholders; those without a value stay. */
export function fillIn(template: string, values: Readonly<Record<string, string | undefined>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** The settings, and the placeholder `{host}` where its setting is known. */
export function valuesOf(settings: Settings, host: HostName | undefined): Record<string, string | undefined> {
  const by = host === undefined ? undefined : settings[host.by];
  if (host === undefined || by === undefined) return settings;
  const named = Object.hasOwn(host.of, by) ? host.of[by]! : host.usual;
  return { ...settings, host: fillIn(named, settings) };
}

/** As it stands in a path: no character of a model's name can be taken for another part of a URL. */
export function encodeModel(model: string): string {
  return encodeURIComponent(model.toWellFormed()).replaceAll('%40', '@');
}
