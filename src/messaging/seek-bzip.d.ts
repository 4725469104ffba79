/** The part of seek-bzip that we use; it comes without types. */
declare module "seek-bzip" {
	class Stream {
		readByte(): number;
		writeByte(byte: number): void;
	}
	const bunzip: {
		readonly Stream: typeof Stream;
		decode(input: Stream, output: Stream): void;
	};
	export default bunzip;
}
