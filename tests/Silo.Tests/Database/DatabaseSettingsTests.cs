using MultiCluster.Silo.Database;

namespace MultiCluster.Silo.Tests.Database;

public sealed class DatabaseSettingsTests
{
    [Theory]
    [InlineData("Host=mc:Zz!SECRET@127.0.0.1;Database=mc")]
    [InlineData("postgres://mc:Zz!SECRET@db.example.com/mc")]
    [InlineData("Host=db;Password=Zz!SECRET;Port=many")]
    [InlineData("Host=db;Password=Zz!SECRET;Unknown Word=1")]
    [InlineData("Host=db;Password=Zz!SECRET;SSL Mode=Perhaps")]
    [InlineData("Host=db;Password='Zz!SECRET")]
    public void ToConnectionString_CannotBeUsed_SaysSoWithoutQuotingIt(string text)
    {
        var settings = new DatabaseSettings { ConnectionString = text };

        DatabaseException refused = Assert.Throws<DatabaseException>(settings.ToConnectionString);

        Assert.StartsWith("Database:ConnectionString ", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("SECRET", refused.ToString(), StringComparison.Ordinal);
    }
}
