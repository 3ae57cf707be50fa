//! The numbers of FIX: tags, message types, states.

/// Tags used by a session and its orders.
pub mod tag {
    macro_rules! tags {
        ($($name:ident = $number:literal),* $(,)?) => {
            $(#[doc = stringify!($name)] pub const $name: u32 = $number;)*
        };
    }

    tags! {
        AVG_PX = 6, BEGIN_STRING = 8, BODY_LENGTH = 9, CHECK_SUM = 10, CL_ORD_ID = 11, COMMISSION = 12, CUM_QTY = 14,
        CURRENCY = 15, END_SEQ_NO = 16, EXEC_ID = 17, EXEC_INST = 18, LAST_PX = 31,
        LAST_QTY = 32, MSG_SEQ_NUM = 34, MSG_TYPE = 35, NEW_SEQ_NO = 36, ORDER_ID = 37, ORDER_QTY = 38, ORD_STATUS = 39,
        ORD_TYPE = 40, ORIG_CL_ORD_ID = 41, POSS_DUP_FLAG = 43, PRICE = 44, REF_SEQ_NUM = 45, SENDER_COMP_ID = 49,
        SENDING_TIME = 52, SIDE = 54, SYMBOL = 55, TARGET_COMP_ID = 56, TEXT = 58, TIME_IN_FORCE = 59,
        TRANSACT_TIME = 60, BEGIN_SEQ_NO = 7, RAW_DATA_LENGTH = 95, RAW_DATA = 96, POSS_RESEND = 97,
        ENCRYPT_METHOD = 98, STOP_PX = 99, CXL_REJ_REASON = 102, ORD_REJ_REASON = 103, HEART_BT_INT = 108,
        TEST_REQ_ID = 112, ORIG_SENDING_TIME = 122, GAP_FILL_FLAG = 123, RESET_SEQ_NUM_FLAG = 141, EXEC_TYPE = 150,
        LEAVES_QTY = 151, SECURITY_TYPE = 167, SUBSCRIPTION_REQUEST_TYPE = 263, REF_TAG_ID = 371, REF_MSG_TYPE = 372, SESSION_REJECT_REASON = 373,
        BUSINESS_REJECT_REF_ID = 379, BUSINESS_REJECT_REASON = 380, CXL_REJ_RESPONSE_TO = 434, SECONDARY_EXEC_ID = 527,
        MASS_CANCEL_REQUEST_TYPE = 530, MASS_CANCEL_RESPONSE = 531, MASS_CANCEL_REJECT_REASON = 532,
        TOTAL_AFFECTED_ORDERS = 533, NO_AFFECTED_ORDERS = 534, USERNAME = 553, PASSWORD = 554, MASS_STATUS_REQ_ID = 584,
        MASS_STATUS_REQ_TYPE = 585, NO_POSITIONS = 702, POS_TYPE = 703, LONG_QTY = 704, SHORT_QTY = 705, POS_REQ_ID = 710,
        POS_MAINT_RPT_ID = 721, POS_REQ_TYPE = 724, TOTAL_NUM_POS_REPORTS = 727, POS_REQ_RESULT = 728, QTY_TYPE = 854,
        TOT_NUM_REPORTS = 911, LAST_RPT_REQUESTED = 912,
        NO_FILLS = 1362, FILL_EXEC_ID = 1363, FILL_PX = 1364, FILL_QTY = 1365, FILL_LIQUIDITY_IND = 1443,
        CANCEL_ON_DISCONNECT = 9001, USE_WORDSAFE_TAGS = 9002, DONT_CANCEL_ON_DISCONNECT = 9003, MM_PROTECTION = 9008,
        MMP_GROUP = 9019,
    }
}

/// Message types: the letter, or of two letters, of which the first is an `A` here, the second with [`TWO`](kind::TWO) added.
pub mod kind {
    /// Marks a type of two letters.
    pub const TWO: u8 = 0x80;

    macro_rules! kinds {
        ($($name:ident = $letter:expr),* $(,)?) => {
            $(#[doc = stringify!($name)] pub const $name: u8 = $letter;)*
        };
    }

    kinds! {
        HEARTBEAT = b'0', TEST_REQUEST = b'1', RESEND_REQUEST = b'2', REJECT = b'3', SEQUENCE_RESET = b'4',
        LOGOUT = b'5', EXECUTION_REPORT = b'8', ORDER_CANCEL_REJECT = b'9', LOGON = b'A', NEW_ORDER_SINGLE = b'D',
        ORDER_CANCEL_REQUEST = b'F', ORDER_CANCEL_REPLACE_REQUEST = b'G', BUSINESS_MESSAGE_REJECT = b'j',
        ORDER_MASS_CANCEL_REQUEST = b'q', ORDER_MASS_CANCEL_REPORT = b'r',
        ORDER_MASS_STATUS_REQUEST = b'F' | TWO, REQUEST_FOR_POSITIONS = b'N' | TWO, POSITION_REPORT = b'P' | TWO,
    }

    /// The type that is written so; 0 for one that this does not hold.
    #[inline]
    pub const fn of(text: &[u8]) -> u8 {
        match text {
            [letter] if letter.is_ascii() => *letter,
            [b'A', letter] if letter.is_ascii() => *letter | TWO,
            _ => 0,
        }
    }

    /// Whether a type belongs to the session: such messages are never sent again, a gap fill stands for them.
    pub const fn is_session(kind: u8) -> bool {
        matches!(kind, HEARTBEAT | TEST_REQUEST | RESEND_REQUEST | REJECT | SEQUENCE_RESET | LOGOUT | LOGON)
    }
}

/// Values of `OrdStatus` (39).
pub mod status {
    macro_rules! states {
        ($($name:ident = $letter:literal),* $(,)?) => {
            $(#[doc = stringify!($name)] pub const $name: u8 = $letter;)*
        };
    }

    states! {
        NEW = b'0', PARTIALLY_FILLED = b'1', FILLED = b'2', DONE_FOR_DAY = b'3', CANCELED = b'4', REPLACED = b'5',
        PENDING_CANCEL = b'6', REJECTED = b'8', PENDING_NEW = b'A', EXPIRED = b'C', PENDING_REPLACE = b'E',
    }
}
