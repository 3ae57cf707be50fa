//! Captures of network traffic, read into UDP datagrams. Cold: for replay, inspection and tests.
//!
//! A pcap or pcapng file enters, [`Datagram`]s with their receive time leave, in file order. Link layers: Ethernet (with
//! VLAN tags), raw IPv4, BSD loopback, Linux cooked (both versions). Microsecond and nanosecond files, and whatever
//! resolution a pcapng interface declares.
//!
//! What is not a whole IPv4 UDP datagram is counted and passed over. A file that is no capture, or is damaged, is one
//! [`CaptureError`] that names the file and what is wrong with it; the datagrams before the damage are delivered first.

use std::fs::File;
use std::io::{Cursor, Read};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};

use etherparse::{EtherType, NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

use crate::units::Nanos;

/// Longest block read: a packet of the largest snapshot length any tool writes, with room for options.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// Length of the second Linux cooked header.
const SLL2_BYTES: usize = 20;

/// One UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When it was captured.
    pub time: Nanos,
    /// Sender.
    pub source: SocketAddrV4,
    /// Receiver; a group when multicast.
    pub destination: SocketAddrV4,
    /// What it carries.
    pub payload: &'a [u8],
}

/// What a capture held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounters {
    /// Packets of any kind.
    pub packets: u64,
    /// UDP datagrams delivered.
    pub datagrams: u64,
    /// Fragments of IP packets, passed over.
    pub fragments: u64,
    /// Packets of which the capture kept only a part, passed over.
    pub cut: u64,
    /// Packets whose headers contradict each other, passed over.
    pub malformed: u64,
    /// Packets that are not IPv4 UDP, or carry no time, passed over.
    pub other: u64,
}

/// A capture that cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct CaptureError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub problem: CaptureProblem,
}

/// What may be wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum CaptureProblem {
    /// The file cannot be opened or read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Another kind of file.
    #[error("not a pcap or pcapng capture")]
    NotACapture,
    /// A link layer that is not read here.
    #[error("link type {0} is not supported (Ethernet, raw IPv4, loopback and Linux cooked are)")]
    LinkType(i32),
    /// The file ends inside its own header.
    #[error("the file ends inside its header: it was cut short")]
    HeaderTruncated,
    /// The file ends inside a packet.
    #[error("the file ends inside packet {0}: it was cut short")]
    Truncated(u64),
    /// A block or packet header that makes no sense.
    #[error("corrupt after packet {0}")]
    Corrupt(u64),
}

/// An open capture.
pub struct Capture<'r> {
    file: PathBuf,
    reader: Box<dyn PcapReaderIterator + Send + 'r>,
    interfaces: Vec<Interface>,
    payload: Vec<u8>,
    counters: CaptureCounters,
    is_over: bool,
}

impl std::fmt::Debug for Capture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture").field("file", &self.file).field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Capture<'static> {
    /// Opens a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| CaptureError { file: path.into(), problem: error.into() })?;
        Self::from_reader(path, file)
    }
}

impl<'r> Capture<'r> {
    /// Reads from anything; `name` appears in errors.
    pub fn from_reader(name: impl AsRef<Path>, source: impl Read + Send + 'r) -> Result<Self, CaptureError> {
        let file = name.as_ref().to_path_buf();
        match recognise(source) {
            Ok(reader) => Ok(Self {
                file,
                reader,
                interfaces: Vec::new(),
                payload: Vec::new(),
                counters: CaptureCounters::default(),
                is_over: false,
            }),
            Err(problem) => Err(CaptureError { file, problem }),
        }
    }

    /// The next datagram; `None` at the end. After an error there is nothing more.
    pub fn next_datagram(&mut self) -> Result<Option<Datagram<'_>>, CaptureError> {
        while !self.is_over {
            match self.step() {
                Ok(Step::Datagram { time, source, destination }) => {
                    return Ok(Some(Datagram { time, source, destination, payload: &self.payload }));
                }
                Ok(Step::Passed) => {}
                Ok(Step::End) => self.is_over = true,
                Err(problem) => {
                    self.is_over = true;
                    return Err(CaptureError { file: self.file.clone(), problem });
                }
            }
        }
        Ok(None)
    }

    /// What was met so far.
    pub fn counters(&self) -> CaptureCounters {
        self.counters
    }

    /// Reads one block.
    fn step(&mut self) -> Result<Step, CaptureProblem> {
        let counters = &mut self.counters;
        let (offset, block) = match self.reader.next() {
            Ok(found) => found,
            Err(PcapError::Eof) => return Ok(Step::End),
            Err(PcapError::Incomplete(_)) => return self.refill(),
            Err(PcapError::UnexpectedEof) => return Err(CaptureProblem::Truncated(counters.packets + 1)),
            Err(PcapError::ReadError) => return Err(unreadable()),
            Err(_) => return Err(CaptureProblem::Corrupt(counters.packets)),
        };
        let corrupt = CaptureProblem::Corrupt(counters.packets);
        let step = match block {
            PcapBlockOwned::LegacyHeader(header) => {
                let units = if header.is_nanosecond_precision() { Nanos::PER_SECOND } else { 1_000_000 };
                self.interfaces.push(Interface { link: header.network, units, offset_s: 0 });
                Ok(Step::Passed)
            }
            PcapBlockOwned::Legacy(frame) => {
                let interface = self.interfaces[0];
                let time = u64::from(frame.ts_sec)
                    .checked_mul(interface.units)
                    .and_then(|units| units.checked_add(u64::from(frame.ts_usec)));
                let time = time.and_then(|units| interface.time(units));
                let is_whole = frame.origlen <= frame.caplen;
                interface.datagram(time, is_whole, frame.data, &mut self.payload, counters)
            }
            PcapBlockOwned::NG(Block::SectionHeader(_)) => {
                self.interfaces.clear();
                Ok(Step::Passed)
            }
            PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                let exponent = u32::from(interface.if_tsresol & 0x7f);
                let base: u64 = if interface.if_tsresol & 0x80 == 0 { 10 } else { 2 };
                let (link, offset_s) = (interface.linktype, interface.if_tsoffset);
                base.checked_pow(exponent).ok_or(corrupt).map(|units| {
                    self.interfaces.push(Interface { link, units, offset_s });
                    Step::Passed
                })
            }
            PcapBlockOwned::NG(Block::EnhancedPacket(frame)) => match self.interfaces.get(frame.if_id as usize) {
                Some(interface) => {
                    let time = interface.time(u64::from(frame.ts_high) << 32 | u64::from(frame.ts_low));
                    let is_whole = frame.origlen <= frame.caplen;
                    interface.datagram(time, is_whole, frame.packet_data(), &mut self.payload, counters)
                }
                None => Err(corrupt),
            },
            PcapBlockOwned::NG(Block::SimplePacket(_)) => {
                counters.packets += 1;
                counters.other += 1;
                Ok(Step::Passed)
            }
            PcapBlockOwned::NG(_) => Ok(Step::Passed),
        };
        self.reader.consume(offset);
        step
    }

    fn refill(&mut self) -> Result<Step, CaptureProblem> {
        let before = self.reader.data().len();
        self.reader.refill().map_err(|_| unreadable())?;
        if self.reader.data().len() == before && !self.reader.reader_exhausted() {
            return Err(CaptureProblem::Corrupt(self.counters.packets));
        }
        Ok(Step::Passed)
    }
}

/// What became of a block.
enum Step {
    Datagram { time: Nanos, source: SocketAddrV4, destination: SocketAddrV4 },
    Passed,
    End,
}

/// How an interface's packets are to be read.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Linktype,
    /// Timestamp units in a second.
    units: u64,
    offset_s: i64,
}

impl Interface {
    /// A timestamp as nanoseconds since the epoch, if in range.
    fn time(&self, units: u64) -> Option<Nanos> {
        let nanos = i128::from(units) * i128::from(Nanos::PER_SECOND) / i128::from(self.units)
            + i128::from(self.offset_s) * i128::from(Nanos::PER_SECOND);
        u64::try_from(nanos).ok().map(Nanos)
    }

    /// Counts a packet; its payload goes to `payload` when it is a datagram.
    fn datagram(
        &self,
        time: Option<Nanos>,
        is_whole: bool,
        frame: &[u8],
        payload: &mut Vec<u8>,
        counters: &mut CaptureCounters,
    ) -> Result<Step, CaptureProblem> {
        let packet = self.slice(frame)?;
        counters.packets += 1;
        let counter = match (packet, time) {
            _ if !is_whole => &mut counters.cut,
            (None, _) => &mut counters.malformed,
            (_, None) => &mut counters.other,
            (Some(packet), Some(time)) => match (packet.net, packet.transport) {
                (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) => {
                    payload.clear();
                    payload.extend_from_slice(udp.payload());
                    counters.datagrams += 1;
                    return Ok(Step::Datagram {
                        time,
                        source: SocketAddrV4::new(ip.header().source_addr(), udp.source_port()),
                        destination: SocketAddrV4::new(ip.header().destination_addr(), udp.destination_port()),
                    });
                }
                (Some(NetSlice::Ipv4(ip)), _) if ip.header().is_fragmenting_payload() => &mut counters.fragments,
                _ => &mut counters.other,
            },
        };
        *counter += 1;
        Ok(Step::Passed)
    }

    /// The headers of a packet; `None` when they contradict each other.
    fn slice<'f>(&self, frame: &'f [u8]) -> Result<Option<SlicedPacket<'f>>, CaptureProblem> {
        Ok(match self.link {
            Linktype::ETHERNET => SlicedPacket::from_ethernet(frame).ok(),
            Linktype::RAW | Linktype::IPV4 => SlicedPacket::from_ip(frame).ok(),
            // Four bytes of address family, in an order the file does not tell: the IP header speaks for itself.
            Linktype::NULL | Linktype::LOOP => frame.get(4..).and_then(|ip| SlicedPacket::from_ip(ip).ok()),
            Linktype::LINUX_SLL => SlicedPacket::from_linux_sll(frame).ok(),
            Linktype::LINUX_SLL2 => frame.split_at_checked(SLL2_BYTES).and_then(|(header, rest)| {
                SlicedPacket::from_ether_type(EtherType(u16::from_be_bytes([header[0], header[1]])), rest).ok()
            }),
            Linktype(other) => return Err(CaptureProblem::LinkType(other)),
        })
    }
}

/// Tells the kind of file by its head.
fn recognise<'r>(mut source: impl Read + Send + 'r) -> Result<Box<dyn PcapReaderIterator + Send + 'r>, CaptureProblem> {
    // The parser wants its first read to hold the whole file header, which a pipe may not give.
    let mut head = Vec::new();
    if source.by_ref().take(BLOCK_BYTES_MAX as u64 / 2).read_to_end(&mut head)? == 0 {
        return Err(CaptureProblem::Empty);
    }
    create_reader(BLOCK_BYTES_MAX, Cursor::new(head).chain(source)).map_err(|error| match error {
        PcapError::ReadError => unreadable(),
        PcapError::Incomplete(_) | PcapError::UnexpectedEof => CaptureProblem::HeaderTruncated,
        _ => CaptureProblem::NotACapture,
    })
}

fn unreadable() -> CaptureProblem {
    CaptureProblem::Io(std::io::Error::other("the file cannot be read to its end"))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const TIME: Nanos = Nanos(1_686_858_167_261_179_935);

    fn udp_over_ip(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 1], [239, 111, 111, 2], 9).udp(4_000, 6_100);
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        packet
    }

    /// A pcap file; times are written in units of `1 / units` s.
    fn pcap(link: u32, nanoseconds: bool, frames: &[Vec<u8>]) -> Vec<u8> {
        let magic: u32 = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut file = magic.to_le_bytes().to_vec();
        file.extend([2, 0, 4, 0]);
        for field in [0, 0, 65_535, link] {
            file.extend(field.to_le_bytes());
        }
        for frame in frames {
            let fraction = if nanoseconds { TIME.0 % 1_000_000_000 } else { TIME.0 % 1_000_000_000 / 1_000 };
            for field in [(TIME.0 / 1_000_000_000) as u32, fraction as u32, frame.len() as u32, frame.len() as u32] {
                file.extend(field.to_le_bytes());
            }
            file.extend(frame);
        }
        file
    }

    fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let length = (padded as u32 + 12).to_le_bytes();
        let padding = vec![0; padded - body.len()];
        [&kind.to_le_bytes()[..], &length, body, &padding, &length].concat()
    }

    /// A pcapng file with one interface of resolution `tsresol` and packets at `units`.
    fn pcapng(link: u16, tsresol: u8, units: u64, frames: &[Vec<u8>]) -> Vec<u8> {
        let mut section = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        section.extend([1, 0, 0, 0]);
        section.extend([0xff; 8]);
        let mut interface = link.to_le_bytes().to_vec();
        interface.extend([0; 6]);
        interface.extend([9, 0, 1, 0, tsresol, 0, 0, 0, 0, 0, 0, 0]);
        let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
        for frame in frames {
            let mut body = Vec::new();
            for field in [0, (units >> 32) as u32, units as u32, frame.len() as u32, frame.len() as u32] {
                body.extend(field.to_le_bytes());
            }
            body.extend(frame);
            file.extend(block(6, &body));
        }
        file
    }

    type Read = (Vec<(Nanos, Vec<u8>)>, CaptureCounters, Option<CaptureProblem>);

    fn read(file: &[u8]) -> Read {
        let mut capture = match Capture::from_reader("test", file) {
            Ok(capture) => capture,
            Err(error) => return (Vec::new(), CaptureCounters::default(), Some(error.problem)),
        };
        let mut datagrams = Vec::new();
        loop {
            match capture.next_datagram() {
                Ok(Some(datagram)) => datagrams.push((datagram.time, datagram.payload.to_vec())),
                Ok(None) => return (datagrams, capture.counters(), None),
                Err(error) => return (datagrams, capture.counters(), Some(error.problem)),
            }
        }
    }

    #[test]
    fn every_link_layer_gives_the_same_datagram() {
        let ip = udp_over_ip(b"payload");
        let mut ethernet = Vec::new();
        let builder = PacketBuilder::ethernet2([1; 6], [2; 6]).single_vlan(7.try_into().unwrap());
        builder.ipv4([10, 0, 0, 1], [239, 111, 111, 2], 9).udp(4_000, 6_100).write(&mut ethernet, b"payload").unwrap();
        ethernet.extend([0; 6]);
        let cooked = [&[0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0][..], &ip].concat();
        let cooked2 = [&[8, 0][..], &[0; 18], &ip].concat();
        let loopback = [&[2, 0, 0, 0][..], &ip].concat();
        let links = [(1, ethernet), (101, ip.clone()), (228, ip), (0, loopback.clone()), (108, loopback)];
        for (link, frame) in links.into_iter().chain([(113, cooked), (276, cooked2)]) {
            let (datagrams, counters, problem) = read(&pcap(link, true, &[frame]));
            assert!(problem.is_none(), "link {link}: {problem:?}");
            assert_eq!(datagrams, [(TIME, b"payload".to_vec())], "link {link}");
            assert_eq!(counters, CaptureCounters { packets: 1, datagrams: 1, ..CaptureCounters::default() });
        }
    }

    #[test]
    fn addresses_and_ports_are_told_apart() {
        let file = pcap(101, true, &[udp_over_ip(b"x")]);
        let mut capture = Capture::from_reader("test", &file[..]).unwrap();
        let datagram = capture.next_datagram().unwrap().unwrap();
        assert_eq!(datagram.source.to_string(), "10.0.0.1:4000");
        assert_eq!(datagram.destination.to_string(), "239.111.111.2:6100");
    }

    #[test]
    fn every_resolution_gives_the_time_in_nanoseconds() {
        let frames = [udp_over_ip(b"x")];
        let micros = Nanos(TIME.0 / 1_000 * 1_000);
        assert_eq!(read(&pcap(101, false, &frames)).0[0].0, micros);
        assert_eq!(read(&pcapng(101, 9, TIME.0, &frames)).0[0].0, TIME);
        assert_eq!(read(&pcapng(101, 6, TIME.0 / 1_000, &frames)).0[0].0, micros);
        assert_eq!(read(&pcapng(101, 0x80 | 20, 3 << 19, &frames)).0[0].0, Nanos(1_500_000_000));
        assert!(matches!(read(&pcapng(101, 99, 0, &frames)).2, Some(CaptureProblem::Corrupt(0))));
    }

    #[test]
    fn what_is_no_whole_datagram_is_counted_and_passed_over() {
        let whole = udp_over_ip(b"payload");
        let mut fragment = whole.clone();
        fragment[6] = 0x20;
        let mut tcp = Vec::new();
        PacketBuilder::ipv4([1; 4], [2; 4], 9).tcp(1, 2, 3, 4).write(&mut tcp, b"payload").unwrap();
        let malformed = whole[..15].to_vec();
        let mut file = pcap(101, true, &[fragment, tcp, malformed, whole.clone(), whole]);
        let last = file.len() - udp_over_ip(b"payload").len() - 4;
        file[last] += 1;
        let (datagrams, counters, problem) = read(&file);
        assert!(problem.is_none() && datagrams.len() == 1);
        let expected = CaptureCounters { packets: 5, datagrams: 1, fragments: 1, cut: 1, malformed: 1, other: 1 };
        assert_eq!(counters, expected);
    }

    #[test]
    fn a_file_that_is_no_capture_says_so() {
        assert!(matches!(read(b"").2, Some(CaptureProblem::Empty)));
        assert!(matches!(read(b"time,price\n1,2\n").2, Some(CaptureProblem::NotACapture)));
        assert!(matches!(read(&pcap(105, true, &[vec![0; 60]])).2, Some(CaptureProblem::LinkType(105))));
        assert!(matches!(read(&pcapng(105, 9, 0, &[vec![0; 60]])).2, Some(CaptureProblem::LinkType(105))));
        let error = Capture::open("no/such/file.pcap").unwrap_err();
        assert!(error.to_string().starts_with("no/such/file.pcap: "), "{error}");
    }

    #[test]
    fn a_file_cut_inside_a_packet_delivers_the_packets_before_it() {
        let frames = [udp_over_ip(b"one"), udp_over_ip(b"two")];
        for file in [pcap(101, true, &frames), pcapng(101, 9, TIME.0, &frames)] {
            for cut in 1..20 {
                let (datagrams, _, problem) = read(&file[..file.len() - cut]);
                assert_eq!(datagrams, [(TIME, b"one".to_vec())]);
                assert!(matches!(problem, Some(CaptureProblem::Truncated(2))), "cut {cut}: {problem:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_damaged_file_never_panics_and_always_ends(
            is_ng in any::<bool>(),
            faults in vec((0_usize..400, any::<u8>()), 1..6),
            cut in 0_usize..400,
        ) {
            let frames = [udp_over_ip(b"one"), udp_over_ip(b"two"), udp_over_ip(b"three")];
            let mut file = if is_ng { pcapng(101, 9, TIME.0, &frames) } else { pcap(101, false, &frames) };
            for (at, byte) in faults {
                let at = at % file.len();
                file[at] = byte;
            }
            file.truncate(cut.max(40));
            prop_assert!(read(&file).0.len() <= frames.len());
        }
    }
}
