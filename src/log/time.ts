/** Milliseconds since 1970 as a line has them. */
export type Time = (created: number) => string;

/** oslo.log's. */
export const DEFAULT_DATE_FORMAT = "%Y-%m-%d %H:%M:%S";

/** Many lines are of one second, and a zone changes its offset at the end of one. */
export function onceASecond(time: Time): Time {
	let [second, text] = [Number.NaN, ""];
	return (created) => {
		const asked = Math.floor(created / 1000);
		if (asked !== second) [second, text] = [asked, time(created)];
		return text;
	};
}

/** `%Y-%m-%d %H:%M:%S` where the machine is, of milliseconds since 1970. */
export function localTime(created: number): string {
	const offset = new Date(created).getTimezoneOffset() * 60_000;
	return new Date(created - offset).toISOString().slice(0, 19).replace("T", " ");
}
