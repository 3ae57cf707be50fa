//! Packets of Starbase market data: what is read, written again, reads the same.

use hedgecore::wire::starbase::market_data::*;

pub fn run(bytes: &[u8]) {
    let Some(first) = written_again(bytes) else { return };
    assert_eq!(written_again(&first).as_ref(), Some(&first), "what was written by this encoder reads as it was meant");
}

/// The messages that this version knows, as this version writes them.
fn written_again(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, messages) = Packet::parse(bytes).ok()?;
    let mut buffer = vec![0; bytes.len() + 64];
    let (kind, channel, sequence) = (header.packet_type.get(), header.channel_id.get(), header.sequence.get());
    let mut packet =
        PacketBuilder::new(&mut buffer, kind, channel, sequence, header.sending_time_ns.get()).expect("room");
    let mut expected = sequence;
    for message in messages {
        let Sequenced { sequence, header, message } = message.ok()?;
        assert_eq!(sequence, expected, "messages are numbered from the packet's own number on");
        expected = expected.wrapping_add(1);
        let meta = MessageMeta { flags: header.flags.get(), transact_time_ns: header.transact_time_ns.get() };
        write(&message.ok()?, meta, &mut packet);
    }
    Some(packet.finish().to_vec())
}

fn write(message: &Message<'_>, meta: MessageMeta, packet: &mut PacketBuilder<'_>) {
    macro_rules! write {
        ($($name:ident),* $(,)?) => {
            match message {
                $(Message::$name(block) => packet.push(meta, *block),)*
                Message::InstrumentDefinition(definition) => {
                    let sizes: Vec<_> = definition.large_tick_sizes.iter().copied().collect();
                    let legs: Vec<_> = definition.legs.iter().copied().collect();
                    assert_eq!((sizes.len(), legs.len()), (definition.large_tick_sizes.len(), definition.legs.len()));
                    packet.definition(meta, definition.block, &sizes, &legs)
                }
                Message::Unknown(_) => Ok(()),
            }
        };
    }
    let written = write!(
        BidPut,
        AskPut,
        BidQtyReduced,
        AskQtyReduced,
        BidDelete,
        AskDelete,
        TradeSummary,
        Trade,
        BlockTrade,
        IndexDefinition,
        InstrumentInfo,
        InstrumentRef,
        InstrumentStatusUpdate,
        SnapshotHeader,
        SnapshotTrailer,
        EndOfCycle,
        RetransmitRequest,
        RetransmitReject,
    );
    written.expect("what was read fits what it was read from");
}

/// What the embedded venue publishes in its first moments.
pub fn seeds() -> Vec<Vec<u8>> {
    super::feed::published(super::feed::starbase(), 40)
}
