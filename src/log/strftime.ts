import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const ZONES = "/usr/share/zoneinfo";
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DIRECTIVE = /%(.?)/gsu;
/** Name and offset, and the same of the summer if there is one. */
const ZONE = /^(<[^>]+>|[A-Za-z]+)([-+\d:]+)(?:(<[^>]+>|[A-Za-z]+)([-+\d:]+)?)?/;

/** What stands behind the %: as Python's time.strftime has it in its C locale. `zone` is POSIX' TZ. */
const DIRECTIVES: Readonly<Record<string, (date: Date, zone: string) => string>> = {
	Y: (date) => String(date.getFullYear()),
	m: (date) => padded(date.getMonth() + 1),
	d: (date) => padded(date.getDate()),
	H: (date) => padded(date.getHours()),
	M: (date) => padded(date.getMinutes()),
	S: (date) => padded(date.getSeconds()),
	z: offset,
	Z: zoneName,
	j: (date) => padded(dayOfYear(date), 3),
	y: (date) => padded(date.getFullYear() % 100),
	b: (date) => MONTHS[date.getMonth()] ?? "",
	a: (date) => DAYS[date.getDay()] ?? "",
	"%": () => "%",
};

/** What is wrong with a format of a date; undefined for one that can be used. */
export function problemOfDateFormat(text: string): string | undefined {
	// Python takes it for none, and has another default.
	if (text === "") return "expected a format such as %H:%M:%S";
	for (const [written, directive = ""] of text.matchAll(DIRECTIVE)) {
		if (Object.hasOwn(DIRECTIVES, directive)) continue;
		const known = Object.keys(DIRECTIVES).map((one) => `%${one}`);
		return `${written}: expected one of ${known.join(", ")}`;
	}
	return undefined;
}

/** Milliseconds since 1970 by a format without a problem, where the machine is. */
export function dateFormat(text: string): (created: number) => string {
	const zone = zoneHere();
	return (created) => {
		const date = new Date(created);
		return text.replace(DIRECTIVE, (_written, directive: string) => DIRECTIVES[directive]?.(date, zone) ?? "");
	};
}

function padded(value: number, width = 2): string {
	return String(value).padStart(width, "0");
}

function dayOfYear(date: Date): number {
	const [year, month, day] = [date.getFullYear(), date.getMonth(), date.getDate()];
	return (Date.UTC(year, month, day) - Date.UTC(year, 0, 0)) / 86_400_000;
}

function offset(date: Date): string {
	const west = date.getTimezoneOffset();
	const minutes = Math.abs(west);
	return `${west > 0 ? "-" : "+"}${padded(Math.trunc(minutes / 60))}${padded(minutes % 60)}`;
}

/** Node.js knows `GMT+5:30` where the zone says `IST`. The offset, where the zone has no name for it. */
function zoneName(date: Date, zone: string): string {
	const [, standard = "", west = "", summer = "", summerWest] = ZONE.exec(zone) ?? [];
	const here = date.getTimezoneOffset();
	const isStandard = standard !== "" && here === minutesOf(west);
	const isSummer = summer !== "" && here === (summerWest ? minutesOf(summerWest) : minutesOf(west) - 60);
	return isStandard || isSummer ? (isStandard ? standard : summer).replace(/[<>]/g, "") : offset(date);
}

/** Of `-3:30`; POSIX counts westwards, as JavaScript does. */
function minutesOf(time: string): number {
	const [, sign, hours, minutes = 0] = /^([-+]?)(\d+)(?::(\d+))?/.exec(time) ?? [];
	return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
}

/** `NST3:30NDT,M3.2.0,M11.1.0`: the last line of the zone's file (RFC 8536, 3.3), or what TZ says itself. */
function zoneHere(): string {
	const name = process.env["TZ"]?.replace(/^:/, "");
	try {
		const file = readFileSync(name === undefined ? "/etc/localtime" : resolve(ZONES, name), "latin1");
		return file.trimEnd().split("\n").at(-1) ?? "";
	} catch {
		return name || "UTC0";
	}
}
