//! The stream of Starbase order entry: frames are cut where they end, and quantities are exact or refused.

use hedgecore::units::{ONE_E9, Quantity};
use hedgecore::wire::starbase::orders::*;

/// Powers of ten that an exact check needs: what is larger overflows anything the wire can hold.
const POWERS_MAX: u32 = 20;

pub fn run(bytes: &[u8]) {
    let mut rest = bytes;
    while let Ok(Some(frame)) = next_frame(rest) {
        let length = frame.bytes();
        assert!((HEADER_BYTES..=rest.len()).contains(&length) && length <= FRAME_BYTES_MAX);
        assert!(matches!(next_frame(&rest[..length - 1]), Ok(None)), "a frame without its last byte is not whole");
        if let Ok(message) = frame.message() {
            look(&message);
        }
        rest = &rest[length..];
    }
}

fn look(message: &Message<'_>) {
    match message {
        Message::NewOrderRequest(order) => exact(order.quantity),
        Message::AmendOrderRequest(order) => exact(order.quantity),
        Message::NewOrderResponse(report, fills) => {
            exact(report.total_filled);
            whole(fills, |fill| exact(fill.fill_qty));
        }
        Message::AmendOrderResponse(report, fills) => {
            exact(report.total_filled);
            whole(fills, |fill| exact(fill.fill_qty));
        }
        Message::OrderPlaced(_, fills) => whole(fills, |fill| exact(fill.fill_qty)),
        Message::OrderFilled(_, orders) => whole(orders, |order| exact(order.fill_qty)),
        Message::OrdersCanceled(_, orders) => whole(orders, |order| exact(order.total_filled)),
        _ => {}
    }
}

fn whole<'a, T>(group: &Group<'a, T>, look: impl Fn(&T))
where
    T: zerocopy::FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned + 'a,
{
    assert_eq!(group.iter().inspect(|entry| look(entry)).count(), group.len());
}

/// A decimal of the wire against one of 128 bits.
fn exact(decimal: Decimal72) {
    let (mantissa, shift) = (i128::from(decimal.mantissa.get()), i32::from(decimal.exponent) + 9);
    let power = 10_i128.pow(shift.unsigned_abs().min(POWERS_MAX));
    let expected = match shift {
        _ if mantissa == 0 => Some(0),
        0.. => mantissa.checked_mul(power),
        _ if mantissa % power == 0 => Some(mantissa / power),
        _ => None,
    };
    let expected = expected.and_then(|e9| i64::try_from(e9).ok()).map(Quantity);
    assert_eq!(decimal.to_quantity().ok(), expected, "{decimal:?}");
}

/// A session's both directions.
pub fn seeds() -> Vec<Vec<u8>> {
    use zerocopy::FromZeros;
    let framed = |block: &dyn Fn(&mut [u8]) -> Option<usize>| {
        let mut buffer = vec![0; 1_024];
        let length = block(&mut buffer).expect("room");
        buffer.truncate(length);
        buffer
    };
    let envelope = Envelope { flags: 0, sequence: 7, last_processed: 3, send_time_ns: 1 };
    let fill = Fill { match_id: 9.into(), fill_price: ONE_E9.into(), fill_qty: Quantity(10 * ONE_E9).into() };
    let mut response = NewOrderResponse::new_zeroed();
    response.total_filled = Decimal72 { mantissa: 25.into(), exponent: -1 };
    let mut order = NewOrderRequest::new_zeroed();
    order.quantity = Quantity(ONE_E9).into();
    let bare =
        |name: &[u8]| framed(&|free| Encoder::new(free, &envelope, &Logout {}).ok()?.text(name).ok()?.finish().ok());
    vec![
        framed(&|free| Encoder::new(free, &envelope, &order).ok()?.finish().ok()),
        framed(&|free| {
            Encoder::new(free, &envelope, &response)
                .ok()?
                .group(&[fill, fill])
                .ok()?
                .group::<Leg>(&[])
                .ok()?
                .finish()
                .ok()
        }),
        framed(&|free| Encoder::new(free, &envelope, &Heartbeat::new_zeroed()).ok()?.finish().ok()),
        framed(&|free| {
            Encoder::new(free, &envelope, &OrdersCanceled::new_zeroed())
                .ok()?
                .group(&[CanceledOrder::new_zeroed()])
                .ok()?
                .finish()
                .ok()
        }),
        [bare(b"done"), bare(b"")].concat(),
    ]
}
