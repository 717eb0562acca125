using MultiCluster.Gateway.Security;

namespace MultiCluster.Gateway.Tests.Security;

public sealed class AdminTokenTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("mc-token-");

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public void LoadOrCreate_SecondStart_KeepsTheToken()
    {
        AdminToken first = AdminToken.LoadOrCreate(_directory.FullName, out bool created);
        AdminToken second = AdminToken.LoadOrCreate(_directory.FullName, out bool createdAgain);

        Assert.True(created);
        Assert.False(createdAgain);
        Assert.True(second.Matches(first.Value));
    }

    [Theory]
    [InlineData("")]
    [InlineData("mc_")]
    [InlineData("x")]
    public void Matches_AnythingElse_IsFalse(string candidate)
    {
        AdminToken token = AdminToken.LoadOrCreate(_directory.FullName, out _);

        Assert.False(token.Matches(candidate));
        Assert.False(token.Matches(token.Value + candidate + "0"));
        Assert.False(token.Matches(token.Value[..^1]));
    }

    [Fact]
    public void LoadOrCreate_ShortToken_IsRefused()
    {
        File.WriteAllText(Path.Combine(_directory.FullName, "admin-token"), "secret\n");

        InvalidDataException error = Assert.Throws<InvalidDataException>(() => AdminToken.LoadOrCreate(_directory.FullName, out _));

        Assert.DoesNotContain("secret", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ToString_HidesTheToken()
    {
        AdminToken token = AdminToken.LoadOrCreate(_directory.FullName, out _);

        Assert.DoesNotContain(token.Value, $"{token}", StringComparison.Ordinal);
    }
}
