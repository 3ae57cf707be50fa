// A venue built on libquickfix, for the initiator to prove itself against.
//
//   acceptor PORT DROP_AT...
//
// Every order is acknowledged and filled at its limit, in two halves when it is for more than one contract. After the
// orders with the numbers DROP_AT the connection is cut: once between the acknowledgement and the fills, with whatever
// was on its way. A cancel is refused, since nothing rests. When the client logs out, the position is printed: contracts
// bought less contracts sold, and how many orders were taken.

#include <cstdlib>
#include <iostream>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>
#include <unistd.h>

#include <quickfix/Application.h>
#include <quickfix/FileLog.h>
#include <quickfix/Message.h>
#include <quickfix/Session.h>
#include <quickfix/SessionSettings.h>
#include <quickfix/ThreadedSocketAcceptor.h>

namespace {

class Venue : public FIX::Application {
 public:
  explicit Venue(std::set<int> drops) : drops_(std::move(drops)) {}

  void onCreate(const FIX::SessionID&) override {}
  void onLogon(const FIX::SessionID&) override {
    ++logons_;
    std::cout << "LOGON " << logons_ << std::endl;
  }
  void onLogout(const FIX::SessionID&) override {}
  void toAdmin(FIX::Message& message, const FIX::SessionID&) override {
    if (message.getHeader().getField(35) == "2") ++resends_asked_;
    if (message.getHeader().getField(35) == "3") {
      std::cout << "REJECT " << message.toString() << std::endl;
    }
  }
  void fromAdmin(const FIX::Message& message, const FIX::SessionID&) throw(
      FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue, FIX::RejectLogon) override {
    const std::string kind = message.getHeader().getField(35);
    if (kind == "2") ++resends_answered_;
    if (kind == "3") std::cout << "REJECTED " << message.toString() << std::endl;
    if (kind == "5") {
      std::cout << "POSITION " << position_ << " ORDERS " << orders_ << " TWICE " << twice_ << " RESENDS "
                << resends_asked_ << " " << resends_answered_ << std::endl;
    }
  }
  void toApp(FIX::Message&, const FIX::SessionID&) throw(FIX::DoNotSend) override {}

  void fromApp(const FIX::Message& message, const FIX::SessionID& session) throw(
      FIX::FieldNotFound, FIX::IncorrectDataFormat, FIX::IncorrectTagValue, FIX::UnsupportedMessageType) override {
    const std::string kind = message.getHeader().getField(35);
    if (kind == "D") return order(message, session);
    if (kind == "F") {
      FIX::Message refusal;
      refusal.getHeader().setField(35, "9");
      refusal.setField(41, message.getField(11));
      refusal.setField(39, "8");
      refusal.setField(58, "order_not_found");
      FIX::Session::sendToTarget(refusal, session);
    }
  }

 private:
  void order(const FIX::Message& message, const FIX::SessionID& session) {
    const std::string client = message.getField(11);
    if (!seen_.insert(client).second) {
      ++twice_;
      return;
    }
    const int number = ++orders_;
    const bool buys = message.getField(54) == "1";
    const int contracts = std::atoi(message.getField(38).c_str());
    position_ += buys ? contracts : -contracts;
    report(message, session, number, '0', 0, 0, contracts);
    if (drops_.count(number)) {
      // What is reported from here on finds nobody, and has to be asked for again.
      FIX::Session* connection = FIX::Session::lookupSession(session);
      connection->disconnect();
    }
    if (contracts > 1) report(message, session, number, '1', 1, contracts / 2, contracts / 2);
    report(message, session, number, '2', 2, contracts - contracts / 2, contracts);
  }

  void report(const FIX::Message& order, const FIX::SessionID& session, int number, char status, int part, int filled,
              int cum) {
    FIX::Message report;
    report.getHeader().setField(35, "8");
    report.setField(37, "BTC-" + std::to_string(number));
    report.setField(11, "BTC-" + std::to_string(number));
    report.setField(41, order.getField(11));
    report.setField(39, std::string(1, status));
    report.setField(150, "I");
    report.setField(54, order.getField(54));
    report.setField(55, order.getField(55));
    report.setField(38, order.getField(38));
    report.setField(44, order.getField(44));
    report.setField(14, std::to_string(status == '0' ? 0 : cum));
    report.setField(60, "20261122-19:00:00.000");
    if (part > 0 && filled > 0) {
      FIX::Group fill(1362, 1363);
      fill.setField(1363, order.getField(55) + "#" + std::to_string(number * 2 + part));
      fill.setField(1364, order.getField(44));
      fill.setField(1365, std::to_string(filled));
      report.addGroup(fill);
    }
    FIX::Session::sendToTarget(report, session);
  }

  std::set<int> drops_;
  std::set<std::string> seen_;
  int logons_ = 0, orders_ = 0, twice_ = 0, resends_asked_ = 0, resends_answered_ = 0;
  long position_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::set<int> drops;
  for (int at = 2; at < argc; ++at) drops.insert(std::atoi(argv[at]));
  std::stringstream settings;
  settings << "[DEFAULT]\nConnectionType=acceptor\nSocketAcceptPort=" << argv[1]
           << "\nSocketReuseAddress=Y\nSocketNodelay=Y\nStartTime=00:00:00\nEndTime=00:00:00\nUseDataDictionary=N\n"
           << "[SESSION]\nBeginString=FIX.4.4\nSenderCompID=VENUE\nTargetCompID=DESK\n";
  try {
    Venue venue(drops);
    FIX::SessionSettings all(settings);
    FIX::MemoryStoreFactory store;
    FIX::ThreadedSocketAcceptor acceptor(venue, store, all);
    acceptor.start();
    std::cout << "READY" << std::endl;
    // Ends when its standard input does.
    char byte;
    while (read(0, &byte, 1) > 0) {
    }
    acceptor.stop(true);
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 1;
  }
  return 0;
}
