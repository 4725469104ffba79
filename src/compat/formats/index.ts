import type { Judgement, Pair } from "../pair.ts";
import { softwareVersion } from "./software-version.ts";
import { versionRanges } from "./version-ranges.ts";

/** `covered`: the attributes that a format earlier in the table has judged. */
export type Format = (pair: Pair, covered: ReadonlySet<string>) => Judgement;

/** The formats of the 2020 thread; one that declares more comes before one that it makes superfluous. */
export const FORMATS: readonly Format[] = [versionRanges, softwareVersion];
