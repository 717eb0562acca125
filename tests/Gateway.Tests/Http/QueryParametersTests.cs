using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using MultiCluster.Gateway.Http;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Http;

public sealed class QueryParametersTests
{
    [Fact]
    public void Objects_EveryParameter_ArrivesInTheQuery()
    {
        QueryParameters parameters = Parse(
            "?namespace=a,b&namespace=c&name=web-*&text=shop&labelSelector=app%3Dweb&fieldSelector=spec.replicas%3E2&readiness=not_ready,failed&owner=deployment/web&ownerDepth=2");

        ObjectQuery query = parameters.Objects("pods");
        parameters.ThrowIfWrong();

        Assert.Equal(["a", "b", "c"], query.Namespaces.AsEnumerable());
        Assert.Equal(["web-*"], query.Names.AsEnumerable());
        Assert.Equal("shop", query.Text);
        Assert.Equal("app=web", query.LabelSelector);
        Assert.Equal("spec.replicas>2", query.FieldSelector);
        Assert.Equal([ReadinessState.NotReady, ReadinessState.Failed], query.Readiness.AsEnumerable());
        Assert.Equal(new OwnerQuery { Kind = "deployment", Name = "web", Depth = 2 }, query.Owner);
    }

    [Theory]
    [InlineData("true", new[] { ReadinessState.Ready, ReadinessState.Completed })]
    [InlineData("false", new[] { ReadinessState.NotReady, ReadinessState.Progressing, ReadinessState.Failed, ReadinessState.Unknown })]
    public void Objects_Ready_StandsForItsStates(string value, ReadinessState[] states) =>
        Assert.Equal(states, Parse($"?ready={value}").Objects("pods").Readiness.AsEnumerable());

    [Theory]
    [InlineData("?owner=uid:1-2", "1-2", null, null)]
    [InlineData("?owner=apps/v1/deployments/web", null, "apps/v1/deployments", "web")]
    public void Objects_Owner_IsReadInItsForms(string url, string? uid, string? kind, string? name) =>
        Assert.Equal(new OwnerQuery { Uid = uid, Kind = kind, Name = name, Depth = 3 }, Parse(url).Objects("pods").Owner);

    [Theory]
    [InlineData("?limt=5", "limt")]
    [InlineData("?limit=abc", "limit")]
    [InlineData("?limit=1&limit=2", "limit")]
    [InlineData("?strict=maybe", "strict")]
    [InlineData("?deadline=soon", "deadline")]
    [InlineData("?deadline=-5s", "deadline")]
    [InlineData("?source=cache", "source")]
    [InlineData("?readiness=fine", "readiness")]
    [InlineData("?ready=true&readiness=ready", "ready")]
    [InlineData("?owner=web", "owner")]
    [InlineData("?ownerDepth=2", "ownerDepth")]
    public void ThrowIfWrong_FaultyParameter_NamesIt(string url, string field)
    {
        QueryParameters parameters = Parse(url);
        ReadAll(parameters);

        InvalidQueryException error = Assert.Throws<InvalidQueryException>(parameters.ThrowIfWrong);

        Assert.Contains(error.Faults, f => f.Field == field);
    }

    [Fact]
    public void ThrowIfWrong_SeveralFaults_NamesThemAll()
    {
        QueryParameters parameters = Parse("?limit=x&nonsense=1&source=z");
        ReadAll(parameters);

        Assert.Equal(3, Assert.Throws<InvalidQueryException>(parameters.ThrowIfWrong).Faults.Length);
    }

    [Theory]
    [InlineData("500ms", 0.5)]
    [InlineData("5s", 5)]
    [InlineData("1m", 60)]
    [InlineData("2.5", 2.5)]
    public void Span_KnownForms_AreSeconds(string text, double seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Parse($"?deadline={text}").Span("deadline", TimeSpan.Zero));

    private static void ReadAll(QueryParameters parameters)
    {
        parameters.Number("limit", 1);
        parameters.Flag("strict");
        parameters.Span("deadline", TimeSpan.Zero);
        parameters.Choice("source", ReadSource.Mirror);
        parameters.Objects("pods");
    }

    private static QueryParameters Parse(string url) => new(new QueryCollection(QueryHelpers.ParseQuery(url)));
}
