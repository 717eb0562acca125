using System.Globalization;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Kubernetes.Tests.Watching;

public sealed class StreamParsingTests
{
    private const int Limit = 4096;

    // Strings that a scanner may trip over: quotes, runs of backslashes, brackets, control characters.
    private static readonly Gen<string> Nasty = Gen.ArrayOf(Gen.Elements('a', '"', '\\', '{', '}', '[', ']', ',', ':', '\n', 'é', '\u0001')).Select(c => new string(c));

    private static readonly Gen<string> Items =
        from names in Gen.ArrayOf(Nasty)
        from depth in Gen.Choose(0, 80)
        select string.Join(',', names.Select((name, i) => Item(name, i % 3 == 0 ? depth : 1)));

    private static string Item(string text, int depth) =>
        $$"""{"metadata":{"name":{{JsonSerializer.Serialize(text)}}},"x":{{new string('[', depth)}}{"y":{{JsonSerializer.Serialize(text)}}}{{new string(']', depth)}}}""";

    private static Gen<int[]> Cuts => Gen.ArrayOf(Gen.Choose(1, 70));

    [Fact]
    public void ListPageReader_AnySplit_GivesTheSameItems() => Check.QuickThrowOnFailure(Prop.ForAll(
        (from items in Items from cuts in Cuts from metadataFirst in Gen.Elements(true, false) from blank in Gen.Elements("", " ", "\n\t") select (items, cuts, metadataFirst, blank)).ToArbitrary(),
        test =>
        {
            string metadata = $$$"""{{{test.blank}}}"metadata"{{{test.blank}}}:{"resourceVersion":"77","continue":"abc","remainingItemCount":3}""";
            string items = $"\"items\":{test.blank}[{test.items}{test.blank}]";
            string body = $$"""{"kind":"PodList",{{(test.metadataFirst ? $"{metadata},{items}" : $"{items},{metadata}")}}{{test.blank}}}""" + "\n";
            var found = new List<string>();
            var reader = new ListPageReader(Limit, item => found.Add(Encoding.UTF8.GetString(item)));
            Feed(Encoding.UTF8.GetBytes(body), test.cuts, reader.Read);
            reader.Finish();
            return string.Join(',', found) == test.items && reader is { ResourceVersion: "77", Continue: "abc", RemainingItems: 3, Kind: "PodList" };
        }));

    [Fact]
    public void WatchFrameReader_AnySplit_GivesTheSameEvents() => Check.QuickThrowOnFailure(Prop.ForAll(
        (from names in Gen.ArrayOf(Nasty) from cuts in Cuts from shape in Gen.Choose(0, 3) select (names, cuts, shape)).ToArbitrary(),
        test =>
        {
            string[] objects = [.. test.names.Select(name => Item(name, 2))];
            string body = string.Concat(objects.Select(o => test.shape switch
            {
                0 => $$"""{"type":"ADDED","object":{{o}}}""" + "\n",
                1 => $$"""{"type":"ADDED","object":{{o}}}""",
                2 => $$"""{ "object" : {{o}}, "type":"ADDED" }""" + "\r\n",
                _ => $$"""{"type":"ADDED","object":{{o}},"extra":{"a":[1]} }""" + "\n",
            }));
            var found = new List<string>();
            var reader = new WatchFrameReader(Limit);
            Feed(Encoding.UTF8.GetBytes(body), test.cuts, data =>
            {
                int used = 0;
                while (reader.TryRead(data[used..], out WatchFrame frame))
                {
                    found.Add(frame.Type + Encoding.UTF8.GetString(frame.Object));
                    used += frame.Length;
                }

                return used;
            });
            return found.SequenceEqual(objects.Select(o => "Added" + o));
        }));

    [Fact]
    public void JsonValueEnd_AnyText_AgreesWithTheJsonReader() => Check.QuickThrowOnFailure(Prop.ForAll(
        (from items in Items from tail in Nasty select (items, tail)).ToArbitrary(),
        test =>
        {
            byte[] value = Encoding.UTF8.GetBytes($"[{test.items}]");
            byte[] followed = [.. value, .. Encoding.UTF8.GetBytes(test.tail)];
            JsonValueEnd end = default;
            JsonValueEnd early = default;
            return end.Find(followed) == value.Length && early.Find(value.AsSpan(0, value.Length - 1)) == -1;
        }));

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"kind":"Table","rows":[{}],"metadata":{"resourceVersion":"1"}}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[{"a":1},{"b":""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[1]}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"},"items":[]} {}""")]
    [InlineData("<html></html>")]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("""{"metadata" 5}""")]
    [InlineData("""{"metadata":{"resourceVersion":"1"x},"items":[]}""")]
    public void ListPageReader_NoList_IsAProtocolError(string body)
    {
        var reader = new ListPageReader(Limit, static _ => { });
        KubeException failure = Assert.Throws<KubeException>(() =>
        {
            _ = reader.Read(Encoding.UTF8.GetBytes(body));
            reader.Finish();
        });
        Assert.Equal(KubeErrorKind.Protocol, failure.Kind);
    }

    [Fact]
    public void ListPageReader_NullItems_IsAnEmptyList()
    {
        var reader = new ListPageReader(Limit, static _ => { });
        _ = reader.Read("""{"items":null,"metadata":{"resourceVersion":"5"}}"""u8);
        reader.Finish();
        Assert.Equal(("5", 0), (reader.ResourceVersion, reader.Count));
    }

    [Theory]
    [InlineData("garbage")]
    [InlineData("""{"type":"NEWS","object":{}}    """)]
    [InlineData("""{"kind":"Status","status":"Failure","code":500} """)]
    [InlineData("""{"type":"ADDED","object":5}               """)]
    [InlineData("""{"type":"ADDED" "object":{} }             """)]
    public void WatchFrameReader_NoEvent_IsAProtocolError(string body)
    {
        var reader = new WatchFrameReader(Limit);
        KubeException failure = Assert.Throws<KubeException>(() => reader.TryRead(Encoding.UTF8.GetBytes(body), out _));
        Assert.Equal(KubeErrorKind.Protocol, failure.Kind);
    }

    [Theory]
    [InlineData(Limit, true)]
    [InlineData(Limit + 1, false)]
    public void Readers_ObjectAtTheLimit_IsTakenAndAboveRefused(int bytes, bool taken)
    {
        string item = $$"""{"x":"{{new string('x', bytes - 8)}}"}""";
        Assert.Equal(bytes, item.Length);
        var list = new ListPageReader(Limit, static _ => { });
        var watch = new WatchFrameReader(Limit);
        byte[] body = Encoding.UTF8.GetBytes($$"""{"items":[{{item}}]}""");
        byte[] frame = Encoding.UTF8.GetBytes($$"""{"type":"ADDED","object":{{item}}}""");
        if (taken)
        {
            _ = list.Read(body);
            Assert.Equal(1, list.Count);
            Assert.True(watch.TryRead(frame, out _));
        }
        else
        {
            Assert.Contains("over 4 KiB", Assert.Throws<KubeException>(() => list.Read(body)).Message, StringComparison.Ordinal);
            Assert.Contains("over 4 KiB", Assert.Throws<KubeException>(() => watch.TryRead(frame, out _)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("""{"metadata":{"resourceVersion":"12"}}""", "12", false)]
    [InlineData("""{"data":{"metadata":{"resourceVersion":"1"}},"metadata":{"labels":{"resourceVersion":"2"},"resourceVersion":"12"}}""", "12", false)]
    [InlineData("""{"metadata":{"resourceVersion":"12","annotations":{"k8s.io/initial-events-end":"true"}}}""", "12", true)]
    [InlineData("""{"metadata":{"annotations":{"k8s.io/initial-events-end":"false","x":"true"},"resourceVersion":"0x1"}}""", "0x1", false)]
    public void EventMetadata_Object_GivesRevisionAndMark(string item, string revision, bool ends)
    {
        Revision read = EventMetadata.Read(Encoding.UTF8.GetBytes(item), wantsMark: true, out bool mark);
        Assert.Equal((revision, ends), (read.ToString(), mark));
    }

    [Theory]
    [InlineData("9", "10", true)]
    [InlineData("10", "9", false)]
    [InlineData("10", "10", false)]
    [InlineData("abc", "10", false)]
    [InlineData("9", "18446744073709551616", false)]
    public void Revision_IsBefore_ComparesNumbersOnly(string left, string right, bool before) =>
        Assert.Equal(before, Revision.Parse(left).IsBefore(Revision.Parse(right)));

    private delegate int Reader(ReadOnlySpan<byte> data);

    /// <summary>Gives the bytes in the pieces that the cuts say, over and over.</summary>
    private static void Feed(byte[] body, int[] cuts, Reader read)
    {
        using var buffer = new ReceiveBuffer(16);
        int at = 0;
        for (int i = 0; at < body.Length; i++)
        {
            int wanted = cuts.Length == 0 ? body.Length : cuts[i % cuts.Length];
            Memory<byte> free = buffer.Free();
            int count = Math.Min(Math.Min(wanted, free.Length), body.Length - at);
            body.AsMemory(at, count).CopyTo(free);
            buffer.Commit(count);
            buffer.Consume(read(buffer.Unread));
            at += count;
        }

        Assert.True(buffer.IsEmpty || !buffer.Unread.ContainsAnyExcept(" \r\n"u8), Convert.ToString(buffer.Unread.Length, CultureInfo.InvariantCulture));
    }
}
