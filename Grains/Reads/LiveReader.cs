using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Json;
using MultiCluster.Kubernetes.Querying;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.Reads;

namespace MultiCluster.Grains.Reads;

/// <summary>Answers reads by asking the member itself.</summary>
/// <remarks>
/// Page size, token, label selector, one namespace, one name and the fields that the server can select by are left to the server.
/// Everything else is decided here, object by object, by the same rules as over the mirror. Then a page may hold few objects or none:
/// it ends at the deadline or when it is half full, with the member's token to go on from. Objects come as the server
/// sends them, <c>managedFields</c> included.
/// </remarks>
internal sealed class LiveReader(IClusterReadSource source, TimeProvider time)
{
    /// <summary>One page.</summary>
    public async Task<ClusterPage> ListAsync(ClusterListRequest request, CancellationToken cancellationToken)
    {
        if (Find(request.Query.Kind, out ResourceType? type, out KubeClient? client) is { } nothing)
        {
            return nothing;
        }

        CompiledQuery? query = CompiledQuery.Compile(request.Query, type!, out ReadFailure? failure);
        OwnerScope? owner = failure is null && request.Query.Owner is { } wanted
            ? OwnerScope.Begin(source.Mirror, source.Surface!, wanted, out failure)
            : null;
        if (query is null || failure is not null)
        {
            return Failed(type!, failure!.State, failure.Fault);
        }

        DateTimeOffset now = time.GetUtcNow();
        long start = time.GetTimestamp();
        var page = new LivePageBuilder(type!, query, owner, request.Projection, now);
        string? token = request.LiveContinue;
        do
        {
            TimeSpan left = request.Deadline - time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero)
            {
                break;
            }

            try
            {
                using LivePage answer = await client!.ListAsync(Ask(request, query, token, request.Limit - page.Count, left), cancellationToken);
                page.AddAll(answer.Items);
                token = answer.Continue;
            }
            catch (KubeException e) when (page.Asked && e.Kind != KubeErrorKind.Gone)
            {
                break;   // what came so far is whole, and the token leads to the rest
            }
            catch (KubeException e)
            {
                return Failed(type!, StateOf(e.Kind), FaultOf(e));
            }
            catch (FormatException e)
            {
                return Failed(type!, CoverageState.Failed, Unusable(e));
            }
        }
        while (!string.IsNullOrEmpty(token) && page.Count < (request.Limit + 1) / 2 && page.Bytes < request.MaxBytes);

        return page.ToPage(source.Cluster, token);
    }

    /// <summary>One object.</summary>
    public async Task<ClusterPage> GetAsync(ClusterGetRequest request, CancellationToken cancellationToken)
    {
        if (Find(request.Kind, out ResourceType? type, out KubeClient? client) is { } nothing)
        {
            return nothing;
        }

        if (ClusterReader.KeyFault(type!, request.Key) is { } fault)
        {
            return Failed(type!, fault.State, fault.Fault);
        }

        using var deadline = new CancellationTokenSource(request.Deadline, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        var page = new LivePageBuilder(type!, null, null, request.Projection, time.GetUtcNow());
        try
        {
            string? ns = request.Key.Namespace.Length == 0 ? null : request.Key.Namespace;
            page.AddAll([await client!.GetObjectAsync(type!, ns, request.Key.Name, either.Token)]);
        }
        catch (KubeException e) when (e.Kind == KubeErrorKind.NotFound)
        {
            // An answer like any other: there is no such object.
        }
        catch (KubeException e)
        {
            return Failed(type!, StateOf(e.Kind), FaultOf(e));
        }
        catch (FormatException e)
        {
            return Failed(type!, CoverageState.Failed, Unusable(e));
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return Failed(type!, CoverageState.Timeout, new ClusterFault("Timeout", "No answer within the deadline. Ask again, with a longer deadline, or leave the cluster out."));
        }

        return page.ToPage(source.Cluster, null);
    }

    private static LiveListQuery Ask(ClusterListRequest request, CompiledQuery query, string? token, int limit, TimeSpan left) => new(query.Type)
    {
        Namespace = query.Namespaces is [var only] ? only : null,
        LabelSelector = request.Query.LabelSelector,
        FieldSelector = query.ServerFields,
        Limit = limit,
        Continue = string.IsNullOrEmpty(token) ? null : token,
        Timeout = left,
        MaxBytes = request.MaxBytes,
    };

    private ClusterPage? Find(string kind, out ResourceType? type, out KubeClient? client)
    {
        type = null;
        client = source.Client;
        if (source.Phase == ClusterPhase.Disabled)
        {
            return Failed(null, CoverageState.Disabled, source.Fault);
        }

        if (client is null || source.Surface is not { } surface)
        {
            return Failed(null, source.Phase == ClusterPhase.AuthFailed ? CoverageState.Forbidden : CoverageState.Offline, source.Fault);
        }

        type = surface.Find(kind);
        return type is null ? Failed(null, CoverageState.NotServed, null) : null;
    }

    private ClusterPage Failed(ResourceType? type, CoverageState state, ClusterFault? fault) => new()
    {
        Coverage = new ClusterCoverage { Cluster = source.Cluster, State = state, Fault = fault },
        GroupResource = type?.GroupResource ?? "",
    };

    private static CoverageState StateOf(KubeErrorKind kind) => kind switch
    {
        KubeErrorKind.Unauthorized or KubeErrorKind.Forbidden => CoverageState.Forbidden,
        KubeErrorKind.NotFound => CoverageState.NotServed,
        KubeErrorKind.Timeout => CoverageState.Timeout,
        KubeErrorKind.ConnectionRefused or KubeErrorKind.NameResolution or KubeErrorKind.Tls => CoverageState.Offline,
        _ => CoverageState.Failed,
    };

    private static ClusterFault Unusable(FormatException e) =>
        new(nameof(KubeErrorKind.Protocol), $"The server sent an object that cannot be used: {ErrorClassifier.Redact(e.Message)}");

    private static ClusterFault FaultOf(KubeException e) => new(e.Kind.ToString(), e.Error.Message);
}

/// <summary>Takes in live objects, keeps those that match.</summary>
internal sealed class LivePageBuilder(ResourceType type, CompiledQuery? query, OwnerScope? owner, Projection projection, DateTimeOffset now)
{
    private readonly ImmutableArray<ObjectRow>.Builder _rows = ImmutableArray.CreateBuilder<ObjectRow>();
    private readonly PayloadWriter _payload = new(0);
    private readonly ObjectScanner _scanner = new(type);

    // The columns of a live object are those that the mirror would give it: one set of rules for both sources.
    private readonly RowFactory _factory = new(type);

    public int Count => _rows.Count;

    public int Bytes => _payload.Length;

    public bool Asked { get; private set; }

    public void AddAll(IReadOnlyList<ReadOnlyMemory<byte>> items)
    {
        Asked = true;
        foreach (ReadOnlyMemory<byte> item in items)
        {
            MirrorRow row = RowOf(item.Span);
            if (query is not null && !(query.MatchesRow(row, now) && (owner is null || owner.Matches(row))))
            {
                continue;
            }

            int start = _payload.Length;
            WriteWhole(item.Span);
            if (query is { NeedsJson: true } && !query.MatchesJson(_payload.From(start), now))
            {
                _payload.Truncate(start);
                continue;
            }

            if (projection != Projection.Object)
            {
                _payload.Truncate(start);
                RowReading.Write(row, projection, _payload);
            }

            _rows.Add(RowReading.RowOf(row, start, _payload.Length - start));
        }
    }

    public ClusterPage ToPage(string cluster, string? token)
    {
        int count = _rows.Count;
        return new ClusterPage
        {
            Coverage = new ClusterCoverage { Cluster = cluster, State = CoverageState.Ok, Age = TimeSpan.Zero, Items = count },
            Rows = _rows.DrainToImmutable(),
            Payload = _payload.ToPayload(),
            More = !string.IsNullOrEmpty(token),
            LiveContinue = string.IsNullOrEmpty(token) ? null : token,
            GroupResource = type.GroupResource,
        };
    }

    private MirrorRow RowOf(ReadOnlySpan<byte> item)
    {
        ScannedObject scanned = _scanner.Scan(item);
        byte[] key = new byte[scanned.Namespace.Length + 1 + scanned.Name.Length];
        int length = MirrorKey.Write(scanned.Namespace, scanned.Name, key);
        return _factory.Make(scanned, key.AsSpan(0, length), null, null, null);
    }

    /// <summary>Writes the object as a get would answer it: items of lists of built-in kinds lack <c>kind</c> and <c>apiVersion</c>.</summary>
    private void WriteWhole(ReadOnlySpan<byte> item)
    {
        var reader = new Utf8JsonReader(item, new JsonReaderOptions { MaxDepth = 1024 });
        bool hasKind = false;
        bool hasVersion = false;
        bool isEmpty = true;
        reader.Read();
        int open = (int)reader.BytesConsumed;
        while (!(hasKind && hasVersion) && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            isEmpty = false;
            hasKind |= reader.ValueTextEquals("kind"u8);
            hasVersion |= reader.ValueTextEquals("apiVersion"u8);
            reader.Read();
            reader.Skip();
        }

        _payload.Write("{"u8);
        if (!hasKind)
        {
            _payload.Write(System.Text.Encoding.UTF8.GetBytes($"\"kind\":\"{JsonEncodedText.Encode(type.Kind)}\"{(isEmpty && hasVersion ? "" : ",")}"));
        }

        if (!hasVersion)
        {
            _payload.Write(System.Text.Encoding.UTF8.GetBytes($"\"apiVersion\":\"{JsonEncodedText.Encode(type.ApiVersion)}\"{(isEmpty ? "" : ",")}"));
        }

        _payload.Write(item[open..]);
    }
}
