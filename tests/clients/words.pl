# Prints the summary and detail of web/http as Mon::Client reads them, byte by byte in ASCII, once
# the summary begins with "it's".
use strict;
use Mon::Client;

my $c = Mon::Client->new (host => "127.0.0.1", port => shift, username => "admin",
    password => "secret");
defined $c->connect or die $c->error;
my $service;
for (1 .. 600) {
    my %status = $c->list_opstatus;
    $service = $status{"web"}->{"http"};
    last if $service->{"last_summary"} =~ /^it's/;
    select (undef, undef, undef, 0.1);
}
for my $key ("last_summary", "last_detail") {
    my $text = $service->{$key};
    $text =~ s/([^ -~]|\\)/sprintf "<%02x>", ord $1/ge;
    print "$key: $text\n";
}
