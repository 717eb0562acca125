using System.Text;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Reads;

public sealed class ContinueTokenTests
{
    private static readonly Gen<string> Names = Gen.OneOf(
        Gen.Elements("a", "web-0", "a.b.c", "system:controller:x", "ü", "", "with~tilde", "UPPER_case"),
        Gen.Elements("abcdefghij0123456789-.:~/ é\0".ToCharArray()).ListOf().Select(c => new string([.. c])));

    private static readonly Gen<ContinueToken> Tokens =
        from position in Gen.Elements(PagePosition.AfterKey, PagePosition.AfterCluster, PagePosition.AtMemberToken)
        from revision in Gen.Choose(1, int.MaxValue)
        from hash in Gen.Choose(int.MinValue, int.MaxValue)
        from cluster in Gen.Elements("c", "eu-1")
        from ns in Gen.Elements("", "shop", "a-b")
        from name in Names
        from member in Gen.OneOf(Names, Names.Select(n => MemberToken(12345, $"shop/{n}\0")))
        select new ContinueToken(position, (long)revision << 20, (ulong)hash, cluster) with
        {
            Key = position == PagePosition.AfterKey ? new ObjectKey(ns, name) : default,
            MemberToken = position == PagePosition.AtMemberToken ? member : "",
        };

    [Fact]
    public void ToText_AnyToken_ReadsBackTheSame() => Prop.ForAll(Tokens.ToArbitrary(), token =>
    {
        string? text = token.ToText();
        if (text is not null)
        {
            Assert.True(ContinueToken.TryParse(text, out ContinueToken? again), text);
            Assert.Equal(token, again);
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void TryParse_DamagedText_IsRefused() => Prop.ForAll(
        Tokens.ToArbitrary(), Gen.Choose(0, 1000).ToArbitrary(), Gen.Elements("aZ9.-_~ \0ü".ToCharArray()).ToArbitrary(), (token, at, with) =>
        {
            if (token.ToText() is { } text)
            {
                at %= text.Length;
                string damaged = text[..at] + with + text[(at + 1)..];
                Assert.True(damaged == text || !ContinueToken.TryParse(damaged, out _), $"{text} and {damaged}");
                Assert.False(ContinueToken.TryParse(text[..at], out _));
                Assert.False(ContinueToken.TryParse(text + with, out _));
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void TryParse_AnyText_NeverThrows() => Prop.ForAll(ArbMap.Default.ArbFor<string>(), text =>
        Assert.False(ContinueToken.TryParse(text ?? "", out _))).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void ToText_LongestLegalNames_Fits()
    {
        string label = new('a', 63);
        string name = string.Join('.', Enumerable.Repeat(new string('b', 62), 4)) + ".c";
        var token = new ContinueToken(PagePosition.AfterKey, long.MaxValue, ulong.MaxValue, label) { Key = new ObjectKey(label, name) };
        Assert.True(token.ToText()!.Length <= 512);

        // RBAC names may hold nearly anything.
        Assert.True((token with { Key = new ObjectKey(label, new string(':', 253)) }).ToText()!.Length <= 512);

        var live = new ContinueToken(PagePosition.AtMemberToken, long.MaxValue, ulong.MaxValue, label) { MemberToken = MemberToken(long.MaxValue, $"{label}/{name}\0") };
        string text = live.ToText()!;
        Assert.True(text.Length <= 512);
        Assert.True(ContinueToken.TryParse(text, out ContinueToken? again));
        Assert.Equal(live.MemberToken, again.MemberToken);
    }

    private static string MemberToken(long revision, string start) =>
        System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(
            $"{{\"v\":\"meta.k8s.io/v1\",\"rv\":{revision},\"start\":\"{start.Replace("\0", "\\u0000", StringComparison.Ordinal)}\"}}"));
}
