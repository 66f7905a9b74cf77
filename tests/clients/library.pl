# Calls every method of Mon::Client that speaks to a daemon, and looks at what comes back.
use strict;
use Mon::Client;

my $port = shift;
my $c = Mon::Client->new (host => "127.0.0.1", port => $port, username => "admin",
    password => "secret");

sub ok {
    my ($what, $is_good) = @_;
    die "$what failed: " . ($c->error || "") . "\n" unless $is_good;
    print "$what\n";
}

ok ("connect", defined $c->connect);
ok ("connected", $c->connected);
ok ("login", defined $c->login);
ok ("checkauth", $c->checkauth ("list"));
ok ("checkauth of nothing", !$c->checkauth ("nosuch"));
ok ("version", $c->version eq "9745");
ok ("servertime", $c->servertime > 1000000000);

my @views = $c->list_views;
ok ("list_views", "@views" eq "left");
ok ("setview", defined $c->setview ("left"));
ok ("getview", defined $c->getview);
my @watch = $c->list_watch;
ok ("list_watch in a view", @watch == 2);
ok ("setview to none", defined $c->setview (""));
@watch = $c->list_watch;
ok ("list_watch", @watch == 3);

my %status = $c->list_opstatus;
ok ("list_opstatus", $status{"web"}->{"http"}->{"last_summary"} eq "h1 h2");
ok ("its monitor", $status{"web"}->{"http"}->{"monitor"} eq "down.monitor -p 80");
%status = $c->list_opstatus (["mail", "smtp"]);
ok ("list_opstatus of one", $status{"mail"}->{"smtp"}->{"opstatus"} == 1);
my %failures = $c->list_failures;
ok ("list_failures", join (" ", keys %{$failures{"web"}}) eq "http");
my %successes = $c->list_successes;
ok ("list_successes", defined $successes{"mail"}->{"smtp"});
my %descriptions = $c->list_descriptions;
ok ("list_descriptions", $descriptions{"web"}->{"http"} eq 'Pages of the "shop"');
my %deps = $c->list_deps;
ok ("list_deps", scalar %deps);
my @hosts = $c->list_group ("web");
ok ("list_group", "@hosts" eq "h1 h2");
my @state = $c->list_state;
ok ("list_state", $state[0] == 1);
my @pids = $c->list_pids;
ok ("list_pids", scalar @pids);
my @alerts = $c->list_alerthist;
ok ("list_alerthist", @alerts && $alerts[0]->{"group"} eq "web");
my @gone = $c->list_failurehist;
ok ("list_failurehist", scalar @gone);
my @aliases = $c->list_aliases;
ok ("list_aliases", !$c->error);
$c->list_dtlog;
ok ("list_dtlog is off", $c->error =~ /dtlogging is not turned on/);

ok ("disable_host", defined $c->disable_host ("h2"));
ok ("disable_service", defined $c->disable_service ("web", "ping"));
ok ("disable_watch", defined $c->disable_watch ("mail"));
my %disabled = $c->list_disabled;
ok ("list_disabled", exists $disabled{"hosts"}->{"web"}->{"h2"}
    && exists $disabled{"services"}->{"web"}->{"ping"}
    && exists $disabled{"watches"}->{"mail"});
ok ("enable_host", defined $c->enable_host ("h2"));
ok ("enable_service", defined $c->enable_service ("web", "ping"));
ok ("enable_watch", defined $c->enable_watch ("mail"));

ok ("set", defined $c->set ("web", "http", "myvar", "it's some text"));
ok ("get", $c->get ("web", "http", "myvar") =~ /^'?it's some text'?$/);
ok ("set_maxkeep", defined $c->set_maxkeep (17));
ok ("get_maxkeep", $c->get_maxkeep == 17);
ok ("ack", defined $c->ack ("web", "http", "on it"));
ok ("test monitor", defined $c->test ("monitor", "web", "http"));
ok ("test alert", defined $c->test ("alert", "web", "http", 1, "p"));
ok ("test_config", ($c->test_config)[0] == 1);
ok ("savestate", defined $c->savestate ("disabled"));
ok ("loadstate", defined $c->loadstate ("disabled"));
ok ("stop", defined $c->stop);
@state = $c->list_state;
ok ("list_state when stopped", $state[0] == 0 && $state[1] > 1000000000);
ok ("start", defined $c->start);
ok ("reload", defined $c->reload ("auth"));
ok ("reset", defined $c->reset ("keepstate"));
ok ("disconnect", defined $c->disconnect);
ok ("connect again", defined $c->connect);
ok ("login again", defined $c->login);
ok ("term", defined $c->term);
print "all methods done\n";
