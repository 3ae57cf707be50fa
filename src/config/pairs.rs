//! The venue's currency pairs: what a binary session calls underlyings.

use super::schema::Orders;
use super::{ConfigError, Page};
use crate::gateway::{SessionConfig, pair_name};

/// The session with the venue's currency pair of each underlying that the file names. A protection that froze is told by its pair.
pub(super) fn with_currency_pairs(
    page: &Page<'_>,
    orders: &Orders,
    mut session: SessionConfig,
) -> Result<SessionConfig, ConfigError> {
    let Some(asked) = &orders.currency_pairs else {
        return match &orders.market_maker_protection {
            Some(protects) if *protects.get_ref() => {
                let what = "needs currency_pairs: by them the venue says which underlying froze".to_owned();
                Err(page.fault(protects.span(), what))
            }
            _ => Ok(session),
        };
    };
    let fault = |what: String| page.fault(asked.span(), what);
    let (numbers, names) = (&mut session.currency_pairs, &mut session.pair_names);
    if asked.get_ref().is_empty() || asked.get_ref().len() > names.len() {
        return Err(fault(format!("1 to {} underlyings", names.len())));
    }
    for (at, (name, pair)) in asked.get_ref().iter().enumerate() {
        let fits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'-') && *pair > 0;
        let known = pair_name(name.as_bytes()).filter(|_| fits);
        let what =
            || format!("{name} = {pair}: write how names of instruments begin, such as BTC, and a number from 1");
        (names[at], numbers[at]) = (known.ok_or_else(|| fault(what()))?, *pair);
    }
    Ok(session)
}
