//! Packets of the multicast feed: what is read, written again, reads the same.

use hedgecore::wire::deribit_multicast::*;

pub fn run(bytes: &[u8]) {
    let Ok(first) = written_again(bytes) else { return };
    let again = written_again(&first);
    assert_eq!(again.as_deref(), Ok(&first[..]), "what was written by this encoder reads as it was meant");
}

/// The messages that this version knows, as this version writes them; all of them, or the first error.
fn written_again(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let (header, mut messages) = Packet::parse(bytes)?;
    // Room for what decoding may have passed over: an entry is at most as long here as it was there.
    let mut buffer = vec![0; bytes.len() * 2 + 64];
    let mut packet = PacketBuilder::new(&mut buffer, header.channel_id.get(), header.sequence.get()).expect("room");
    let mut left = messages.remaining();
    while let Some(message) = messages.next() {
        let message = message?;
        assert!(messages.remaining() < left, "a message takes bytes");
        left = messages.remaining();
        write(&message, &mut packet);
    }
    Ok(packet.finish().to_vec())
}

fn write(message: &Message<'_>, packet: &mut PacketBuilder<'_>) {
    let written = match message {
        Message::Instrument(it) => packet.instrument(it.block, it.name),
        Message::InstrumentV2(it) => packet.instrument_v2(it.block, &all(&it.tick_steps), it.name),
        Message::Book(it) => packet.book(it.block, &all(&it.entries)),
        Message::Trades(it) => packet.trades(it.block, &all(&it.entries)),
        Message::Ticker(block) => packet.ticker(block),
        Message::Snapshot(it) => packet.snapshot(it.block, &all(&it.entries)),
        Message::SnapshotStart(block) => packet.snapshot_start(block),
        Message::SnapshotEnd => packet.snapshot_end(),
        Message::ComboLegs(it) => packet.combo_legs(it.block, &all(&it.legs)),
        Message::PriceIndex(block) => packet.price_index(block),
        Message::Rfq(block) => packet.rfq(block),
        Message::Unknown(_) => Ok(()),
    };
    written.expect("what was read fits what it was read from");
}

fn all<T: Copy + zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned>(
    group: &Group<'_, T>,
) -> Vec<T> {
    let entries: Vec<T> = group.iter().copied().collect();
    assert_eq!(entries.len(), group.len());
    entries
}

/// What the embedded venue publishes in its first moments.
pub fn seeds() -> Vec<Vec<u8>> {
    super::feed::published(hedgecore::sim::venue::PublishConfig::default(), 40)
}
